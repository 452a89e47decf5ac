package main

import (
	"strings"
	"testing"
	"time"
)

const scraped = `# TYPE db_client_operation_duration_seconds histogram
db_client_operation_duration_seconds_bucket{db_collection_name="records",db_operation_name="find",le="0.001"} 3
db_client_operation_duration_seconds_count{db_collection_name="records",db_operation_name="find",otel_scope_name="a"} %s
db_client_operation_duration_seconds_count{db_operation_name="commitTransaction",otel_scope_name="a"} 7
db_client_operation_duration_seconds_count{db_collection_name="table.nodes",db_operation_name="find"} 99
`

func TestCommandsOfARequest(t *testing.T) {
	t.Parallel()
	before, err := parseCommands(strings.NewReader(strings.Replace(scraped, "%s", "10", 1)))
	if err != nil {
		t.Fatal(err)
	}
	after, err := parseCommands(strings.NewReader(strings.Replace(scraped, "%s", "35", 1)))
	if err != nil {
		t.Fatal(err)
	}
	after["insert trail"], after["commitTransaction"] = 10, 7
	if got, want := after.since(before, 10).String(), "3.5: 2.5 find records, insert trail"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if _, err := parseCommands(strings.NewReader(strings.Replace(scraped, "%s", "many", 1))); err == nil {
		t.Error("a count that is no number was accepted")
	}
}

func TestClientReadsChunks(t *testing.T) {
	t.Parallel()
	c, err := dial(answering(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	for range 3 {
		if status, size, err := c.roundTrip([]byte("GET / HTTP/1.1\r\n\r\n")); status != 200 || size != 5 || err != nil {
			t.Fatalf("%d, %d bytes, %v", status, size, err)
		}
	}
}

// What is sent in a row ends with the time, with the number, and not before one
// answer has come.
func TestRequestsInARow(t *testing.T) {
	t.Parallel()
	c, err := dial(answering(t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	l := load{Want: 200, Requests: []prepared{{Bytes: []byte("GET / HTTP/1.1\r\n\r\n")}}}
	if took, err := c.send(l, time.Hour, 3); len(took) != 3 || err != nil {
		t.Errorf("%d answers, %v", len(took), err)
	}
	if took, err := c.send(l, 0, 3); len(took) != 1 || err != nil {
		t.Errorf("%d answers, %v", len(took), err)
	}
	l.Want = 201
	if _, err := c.send(l, time.Hour, 3); err == nil {
		t.Error("another status is no error")
	}
}
