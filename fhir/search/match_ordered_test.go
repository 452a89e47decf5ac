package search_test

import "testing"

// Observation.effective of every shape, around 14 March 2013.
var dates = []string{
	`"id":"feb","effectiveDateTime":"2013-02"`,
	`"id":"d13","effectiveDateTime":"2013-03-13"`,
	`"id":"midnight","effectiveDateTime":"2013-03-14T00:00:00Z"`,
	`"id":"ten","effectiveDateTime":"2013-03-14T10:00:00Z"`,
	`"id":"d14","effectiveDateTime":"2013-03-14"`,
	`"id":"zone","effectiveDateTime":"2013-03-15T00:30:00+02:00"`,
	`"id":"d15","effectiveDateTime":"2013-03-15"`,
	`"id":"march","effectiveDateTime":"2013-03"`,
	`"id":"across","effectivePeriod":{"start":"2013-03-13T20:00:00Z","end":"2013-03-14T04:00:00Z"}`,
	`"id":"onwards","effectivePeriod":{"start":"2013-01-21"}`,
	`"id":"later","effectivePeriod":{"start":"2013-03-15"}`,
	`"id":"until","effectivePeriod":{"end":"2013-01-21"}`,
	`"id":"none"`,
}

// The rows of R4 search.html#date and the interval rules of search.html#prefix.
func TestMatchDate(t *testing.T) {
	t.Parallel()
	runRows(t, "Observation", dates, []row{
		{"eq", "date=2013-03-14", "midnight ten d14 zone"},
		{"eq", "date=eq2013-03-14", "midnight ten d14 zone"},
		{"eq", "date=2013-03", "d13 midnight ten d14 zone d15 march across"},
		{"eq", "date=2013", "feb d13 midnight ten d14 zone d15 march across"},
		{"eq of a minute", "date=2013-03-14T10:00", "ten"},
		{"eq of a minute with zone", "date=2013-03-14T12:00%2B02:00", "ten"},
		{"unescaped plus", "date=2013-03-14T12:00+02:00", "ten"},
		{"eq of a second", "date=2013-03-14T10:00:01Z", ""},
		{"ne", "date=ne2013-03-14", "feb d13 d15 march across onwards later until"},
		{"ne", "date=ne2013", "onwards later until"},
		{"gt", "date=gt2013-03-14", "d15 march onwards later"},
		{"gt includes part of the day", "date=gt2013-03-14T10:00", "d14 zone d15 march onwards later"},
		{"lt", "date=lt2013-03-14", "feb d13 march across onwards until"},
		{"lt includes part of the day", "date=lt2013-03-14T10:00", "feb d13 midnight d14 march across onwards until"},
		{"ge", "date=ge2013-03-14", "midnight ten d14 zone d15 march onwards later"},
		{"le", "date=le2013-03-14", "feb d13 midnight ten d14 zone march across onwards until"},
		{"sa", "date=sa2013-03-14", "d15 later"},
		{"sa of a month", "date=sa2013-02", "d13 midnight ten d14 zone d15 march across later"},
		{"eb", "date=eb2013-03-14", "feb d13 until"},
		{"alternatives", "date=2013-03-13,2013-03-15", "d13 d15"},
		{"conditions", "date=ge2013-03-13&date=le2013-03-13", "d13 march onwards"},
		{"missing", "date:missing=true", "none"},
		{"present", "date:missing=false", "feb d13 midnight ten d14 zone d15 march across onwards later until"},
	})
}

// A tenth of the distance from now (1 January 2020, noon): from 14 March 2013
// that is 248.5 days.
func TestMatchDateApproximately(t *testing.T) {
	t.Parallel()
	runRows(t, "Observation", []string{
		`"id":"before","effectiveDateTime":"2012-07-07"`,
		`"id":"from","effectiveDateTime":"2012-07-09"`,
		`"id":"day","effectiveDateTime":"2013-03-14"`,
		`"id":"to","effectiveDateTime":"2013-11-17"`,
		`"id":"after","effectiveDateTime":"2013-11-20"`,
		`"id":"open","effectivePeriod":{"start":"2013-11-01"}`,
		`"id":"today","effectiveDateTime":"2020-01-01"`,
		`"id":"next","effectiveDateTime":"2021-01-01"`,
	}, []row{
		{"past", "date=ap2013-03-14", "from day to open"},
		{"today has no distance", "date=ap2020-01-01", "open today"},
		{"future", "date=ap2021-01-05", "open next"},
	})
}

// RiskAssessment.probability is a decimal or a Range
// (R4 search.html#number).
func TestMatchNumber(t *testing.T) {
	t.Parallel()
	runRows(t, "RiskAssessment", []string{
		`"id":"a","prediction":[{"probabilityDecimal":99.4}]`,
		`"id":"b","prediction":[{"probabilityDecimal":99.5}]`,
		`"id":"c","prediction":[{"probabilityDecimal":100}]`,
		`"id":"d","prediction":[{"probabilityDecimal":100.00}]`,
		`"id":"e","prediction":[{"probabilityDecimal":100.5}]`,
		`"id":"f","prediction":[{"probabilityRange":{"low":{"value":90},"high":{"value":110}}}]`,
		`"id":"g","prediction":[{"probabilityRange":{"low":{"value":101}}}]`,
		`"id":"h","prediction":[{"probabilityDecimal":1e2}]`,
		`"id":"z"`,
	}, []row{
		{"three digits: [99.5, 100.5)", "probability=100", "b c d h"},
		{"five digits: [99.995, 100.005)", "probability=100.00", "c d h"},
		{"one digit: [50, 150)", "probability=1e2", "a b c d e f h"},
		{"ne is to the same precision", "probability=ne100", "a e f g"},
		{"gt is exact", "probability=gt100", "e f g"},
		{"gt is exact", "probability=gt99.5", "c d e f g h"},
		{"lt is exact", "probability=lt100", "a b f"},
		{"ge is exact", "probability=ge100", "c d e f g h"},
		{"le is exact", "probability=le100", "a b c d f h"},
		{"sa", "probability=sa100", "e g"},
		{"eb", "probability=eb100", "a b"},
		{"ap is a tenth", "probability=ap100", "a b c d e f g h"},
		{"ap is a tenth", "probability=ap111", "c d e f g h"},
		{"ap is a tenth", "probability=ap122", "f g"},
		{"ap of zero has its precision", "probability=ap0", ""},
		{"alternatives", "probability=99.40,100.50", "a e"},
		{"missing", "probability:missing=true", "z"},
	})
}

func TestMatchNegativeNumber(t *testing.T) {
	t.Parallel()
	runRows(t, "RiskAssessment", []string{
		`"id":"a","prediction":[{"probabilityDecimal":-5}]`,
		`"id":"b","prediction":[{"probabilityDecimal":-5.6}]`,
		`"id":"c","prediction":[{"probabilityDecimal":0}]`,
	}, []row{
		{"eq", "probability=-5", "a"},
		{"lt", "probability=lt-5", "b"},
		{"gt", "probability=gt-5", "c"},
		{"ap", "probability=ap-5.2", "a b"},
		{"zero", "probability=0", "c"},
		{"minus zero", "probability=-0", "c"},
	})
}

// Observation.value: quantities with UCUM, with a local unit, without unit,
// with a comparator (R4 search.html#quantity).
func TestMatchQuantity(t *testing.T) {
	t.Parallel()
	const ucum = `"system":"http://unitsofmeasure.org"`
	runRows(t, "Observation", []string{
		`"id":"mg","valueQuantity":{"value":5.4,"unit":"mg",` + ucum + `,"code":"mg"}`,
		`"id":"g","valueQuantity":{"value":0.0054,"unit":"gram",` + ucum + `,"code":"g"}`,
		`"id":"ml","valueQuantity":{"value":5.4,"unit":"ml",` + ucum + `,"code":"mL"}`,
		`"id":"local","valueQuantity":{"value":5.4,"system":"urn:local","code":"mg"}`,
		`"id":"human","valueQuantity":{"value":5.4,"unit":"mg"}`,
		`"id":"bare","valueQuantity":{"value":5.44}`,
		`"id":"below","valueQuantity":{"value":5,"comparator":"<",` + ucum + `,"code":"mg"}`,
		`"id":"above","valueQuantity":{"value":6,"comparator":">",` + ucum + `,"code":"mg"}`,
		`"id":"text","valueString":"5.4"`,
	}, []row{
		{"system and code", "value-quantity=5.4|http://unitsofmeasure.org|mg", "mg g"},
		{"canonical units", "value-quantity=5400|http://unitsofmeasure.org|ug", "mg g"},
		{"precision before conversion", "value-quantity=0.005|http://unitsofmeasure.org|g", "mg g"},
		{"precision before conversion", "value-quantity=0.0050|http://unitsofmeasure.org|g", ""},
		{"other dimension", "value-quantity=5.4|http://unitsofmeasure.org|mL", "ml"},
		{"code or unit", "value-quantity=5.4||mg", "mg local human"},
		{"unit text", "value-quantity=0.0054||gram", "g"},
		{"irrespective of unit", "value-quantity=5.4", "mg ml local human bare"},
		{"other system", "value-quantity=5.4|urn:local|mg", "local"},
		{"unknown unit", "value-quantity=5.4|http://unitsofmeasure.org|notaunit", ""},
		{"gt", "value-quantity=gt5.3|http://unitsofmeasure.org|mg", "mg g above"},
		{"gt exact", "value-quantity=gt5.4|http://unitsofmeasure.org|mg", "above"},
		{"lt", "value-quantity=lt5.4|http://unitsofmeasure.org|mg", "below"},
		{"ge", "value-quantity=ge5.4|http://unitsofmeasure.org|mg", "mg g above"},
		{"le", "value-quantity=le0.0054|http://unitsofmeasure.org|g", "mg g below"},
		{"sa", "value-quantity=sa5.3|http://unitsofmeasure.org|mg", "mg g above"},
		{"eb", "value-quantity=eb5.4|http://unitsofmeasure.org|mg", "below"},
		{"ap", "value-quantity=ap5|http://unitsofmeasure.org|mg", "mg g below"},
		{"ne", "value-quantity=ne5.4|http://unitsofmeasure.org|mg", "below above"},
		{"missing", "value-quantity:missing=true", "text"},
	})
}

// R4 location.html#search: near=latitude|longitude|distance|unit.
func TestMatchNear(t *testing.T) {
	t.Parallel()
	runRows(t, "Location", []string{
		`"id":"berlin","position":{"latitude":52.5200,"longitude":13.4050}`,
		`"id":"potsdam","position":{"latitude":52.3906,"longitude":13.0645}`, // 27.2 km
		`"id":"fiji","position":{"latitude":-17.0,"longitude":179.9}`,
		`"id":"none"`,
	}, []row{
		{"kilometres by default", "near=52.52|13.405|28", "berlin potsdam"},
		{"kilometres by default", "near=52.52|13.405|26", "berlin"},
		{"unit", "near=52.52|13.405|26000|m", "berlin"},
		{"miles", "near=52.52|13.405|17|[mi_i]", "berlin potsdam"},
		{"no distance", "near=52.52|13.405", "berlin potsdam"},
		{"across the date line", "near=-17|-179.9|25", "fiji"},
		{"none", "near=0|0|1", ""},
	})
}
