package rest

import "testing"

func TestChooseMedia(t *testing.T) { // R4 http.html#mime-type, RFC 9110 §12.5.1
	t.Parallel()
	const plain = "application/fhir+json; charset=utf-8"
	for _, tt := range []struct{ name, accept, want string }{
		{"FHIR JSON", "application/fhir+json", plain},
		{"in capitals", "Application/FHIR+JSON", plain},
		{"anything", "*/*", plain},
		{"any application", "application/*", plain},
		{"short form", "json", plain},
		{"a browser", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", plain},
		{"generic types are answered in kind", "application/json", "application/json; charset=utf-8"},
		{"text/json", "text/json", "text/json; charset=utf-8"},
		{"DSTU2's type", "application/json+fhir", "application/json+fhir; charset=utf-8"},
		{"equal: FHIR first", "application/json, application/fhir+json", plain},
		{"quality decides", "application/json;q=0.9, application/fhir+json;q=0.5", "application/json; charset=utf-8"},
		{"the specific range decides", "*/*;q=1, application/fhir+json;q=0, application/json;q=0.1", "application/json; charset=utf-8"},
		{"XML first, JSON too", "application/fhir+xml, application/fhir+json;q=0.1", plain},
		{"charset", "application/fhir+json;charset=UTF-8", plain},
		{"version", "application/fhir+json; fhirVersion=4.0", "application/fhir+json; fhirVersion=4.0; charset=utf-8"},
		{"version and others", "application/fhir+json; fhirVersion=3.0, application/fhir+json; fhirVersion=4.0;q=0.2", "application/fhir+json; fhirVersion=4.0; charset=utf-8"},
		{"comma in quotes", `application/fhir+json;x="a,b"`, plain},
		{"empty elements", ", application/fhir+json ,,", plain},
		{"XML", "application/fhir+xml", ""},
		{"another version", "application/fhir+json; fhirVersion=5.0", ""},
		{"another charset", "application/fhir+json; charset=iso-8859-1", ""},
		{"refused", "application/fhir+json;q=0", ""},
		{"refused in three digits", "application/fhir+json;q=0.000", ""},
		{"bad quality", "application/fhir+json;q=x", ""},
		{"quality is no number", "application/fhir+json;q=NaN", ""},
		{"all but JSON", "*/*, application/fhir+json;q=0", ""},
		{"HTML", "text/html", ""},
		{"garbage", "///;;;", ""},
		{"ndjson", "application/fhir+ndjson", ""},
	} {
		got, ok := chooseMedia(tt.accept)
		if ok != (tt.want != "") || ok && got != tt.want {
			t.Errorf("%s: %q, %v", tt.name, got, ok)
		}
	}
}

func TestChooseFormat(t *testing.T) { // R4 http.html#parameters
	t.Parallel()
	const plain = "application/fhir+json; charset=utf-8"
	for query, want := range map[string]string{
		"_format=json": plain, "_format=application/json": plain, "_format=application/fhir+json": plain, "_format=text/json": plain,
		"_format=application%2Ffhir%2Bjson": plain, "a=1&_format=json&_format=xml": plain,
		"_format=application/fhir+json;fhirVersion=4.0": "application/fhir+json; fhirVersion=4.0; charset=utf-8",
		"_format=xml": "", "_format=application/fhir+xml": "", "_format=html": "", "_format=*/*": "",
		"_format=application/fhir+json;fhirVersion=3.0": "",
	} {
		if got, ok := chooseFormat(parameter(query, "_format")); ok != (want != "") || got != want {
			t.Errorf("%s: %q, %v", query, got, ok)
		}
	}
	if parameter("x_format=1&_format", "_format") != "" || parameter("_format=%zz", "_format") != "" {
		t.Error("no value is no value")
	}
}

func TestChooseCoding(t *testing.T) { // RFC 9110 §12.5.3
	t.Parallel()
	for accept, want := range map[string]string{
		"": "", "gzip": "gzip", "GZIP, deflate, br": "gzip", "x-gzip": "gzip", "*": "gzip", "deflate": "deflate", "gzip;q=0.1, deflate": "deflate",
		"gzip;q=0": "", "*;q=0": "", "identity": "", "br": "", "gzip;q=0, *": "deflate",
	} {
		if got := chooseCoding(accept); got != want {
			t.Errorf("%q: %q, want %q", accept, got, want)
		}
	}
}

func TestAcceptsUTF8(t *testing.T) { // R4 http.html#mime-type
	t.Parallel()
	for accept, want := range map[string]bool{
		"": true, "utf-8": true, "iso-8859-1, UTF-8;q=0.1": true, "*": true, "iso-8859-1, *;q=0.1": true,
		"iso-8859-1": false, "utf-8;q=0": false, "utf-8;q=0, *": false,
	} {
		if acceptsUTF8(accept) != want {
			t.Errorf("%q: %v", accept, !want)
		}
	}
}

func FuzzAcceptHeaders(f *testing.F) {
	f.Add("application/fhir+json; fhirVersion=4.0;q=0.5, */*;q=0.1")
	f.Add(`a/b;x="\",",`)
	f.Fuzz(func(t *testing.T, header string) {
		if media, ok := chooseMedia(header); ok && !fhirMedia(media) {
			t.Errorf("%q is no JSON", media)
		}
		if c := chooseCoding(header); c != "" && c != "gzip" && c != "deflate" {
			t.Errorf("coding %q", c)
		}
		acceptsUTF8(header)
	})
}
