package narrative_test

import (
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/fhir/narrative"
)

const open = `<div xmlns="http://www.w3.org/1999/xhtml">`

// Abuse 12: script in narrative, in the ways that filters have missed.
func TestScriptInNarrativeIsRefused(t *testing.T) {
	t.Parallel()
	for _, inner := range []string{
		`<script>alert(1)</script>`, `<SCRIPT>alert(1)</SCRIPT>`, `<svg onload="x"/>`, `<iframe src="http://e.org"/>`,
		`<object data="x"/>`, `<embed src="x"/>`, `<form action="x"/>`, `<input value="x"/>`, `<style>p{}</style>`,
		`<link rel="stylesheet" href="x"/>`, `<meta content="x"/>`, `<base href="http://e.org"/>`, `<math><mi/></math>`,
		`<template>x</template>`, `<noscript>x</noscript>`, `<title>x</title>`, `<x:script xmlns:x="http://www.w3.org/1999/xhtml"/>`,
		`<p onclick="x">a</p>`, `<img src="a" onerror="x"/>`, `<p ONCLICK="x">a</p>`, `<p formaction="x">a</p>`,
		`<a href="javascript:alert(1)">a</a>`, `<a href=" JaVaScRiPt:x">a</a>`, `<a href="java&#10;script:x">a</a>`,
		`<a href="&#106;avascript:x">a</a>`, `<a href="javascript&colon;x">a</a>`, `<a href="java&Tab;script:x">a</a>`,
		`<a href="vbscript:x">a</a>`, `<a href="data:text/html,x">a</a>`, `<img src="javascript:x"/>`,
		`<img src="data:text/html,x"/>`, `<blockquote cite="javascript:x">a</blockquote>`,
		`<p style="width:expression(x)">a</p>`, `<p style="background:url(javascript:x)">a</p>`, `<p style="wid\th:x">a</p>`,
		`<!--><img src="x"/>-->a`, `<!---><img src="x"/>-->a`, `<!-- a -- b -->a`, `<![CDATA[<script/>]]>`,
		`<?xml-stylesheet href="x"?>a`, `<!DOCTYPE html>a`, `<!ENTITY x SYSTEM "file:///etc/passwd">&x;`, `&x;`,
	} {
		if narrative.Check(open+inner+`</div>`) == "" {
			t.Errorf("accepted: %s", inner)
		}
	}
}

func TestNarrativeThatIsNotXHTMLIsRefused(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"text", "<p>a</p>", "<div>no namespace</div>", `<div xmlns="http://e.org">a</div>`, open, open + "a", open + "a</div",
		open + "a</div>b", open + "a</div><div>b</div>", open + "<p>a</div>", open + "<b><i>a</b></i></div>", open + "</p></div>",
		open + "a & b</div>", open + "a < b</div>", open + "&#0x;</div>", open + "<p class=x>a</p></div>", open + "<p class>a</p></div>",
		open + `<p class="a" class="b">a</p></div>`, open + `<p class="a"id="b">a</p></div>`, open + `<p title="<">a</p></div>`,
		open + "a\x01</div>", open + "]]></div>", open + " \n </div>", open + "<p/></div>", "<divx>a</divx>", "<div",
		`<!DOCTYPE div [<!ENTITY a "b">]>` + open + "&a;</div>", open + strings.Repeat("<b>", 300) + "a" + strings.Repeat("</b>", 300) + "</div>",
	} {
		if narrative.Check(s) == "" {
			t.Errorf("accepted: %.80s", s)
		}
	}
}

func TestNarrativeIsAccepted(t *testing.T) {
	t.Parallel()
	for _, inner := range []string{
		"a", "<p>a</p>", `<img src="a.png" alt="x"/>`, `<img src="data:image/png;base64,AAAA"/>`, "&lt;&amp;&#160;&#xA0;&nbsp;&eacute;", "<br/>a<br></br>",
		`<a href="http://e.org/?a=1&amp;b=2">a</a><a href="#x">b</a><a href="Patient/1">c</a><a name="d">d</a>`,
		`<table class="grid" border='1'><tr><td colspan="2" style="color: red; width: 3em">1 &gt; 0</td></tr></table>`,
		"<!-- note -->a", `<p xml:lang="de" lang="de">ä</p>`, "a > b", "<a\nhref = \"x\"\n>a</a >",
	} {
		if fault := narrative.Check("  " + open + inner + "</div>\n"); fault != "" {
			t.Errorf("%s: %s", inner, fault)
		}
	}
}

func FuzzNarrative(f *testing.F) {
	f.Add(open + "<p class='x'>a &amp; b</p><!-- c --></div>")
	f.Add(open + "<script/></div>")
	f.Fuzz(func(t *testing.T, s string) {
		if narrative.Check(s) == "" && strings.Contains(strings.ToLower(s), "<script") && !strings.Contains(s, "<!--") {
			t.Error("script accepted")
		}
	})
}

func BenchmarkNarrative(b *testing.B) {
	div := `<div xmlns="http://www.w3.org/1999/xhtml">` + strings.Repeat(`<p class="x">a &amp; <b>b</b></p>`, 30) + `</div>`
	b.SetBytes(int64(len(div)))
	for b.Loop() {
		if narrative.Check(div) != "" {
			b.Fatal("refused")
		}
	}
}
