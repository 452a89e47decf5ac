package mongostore

import (
	"errors"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/event"

	"github.com/fieldseal/fieldseal/repository"
)

// SetFormat writes the format's number of another release.
func SetFormat(t *testing.T, s *Store, version int) {
	_, err := s.meta.UpdateByID(t.Context(), metaFormat, bson.D{{Key: "$set", Value: bson.D{{Key: "version", Value: version}}}})
	if err != nil {
		t.Fatal(err)
	}
}

// MakeFormat1 leaves of a database what the release that wrote format 1 had.
func MakeFormat1(t *testing.T, s *Store) {
	ctx := t.Context()
	_, err := s.meta.UpdateByID(ctx, metaFeed, bson.D{{Key: "$unset", Value: bson.D{{Key: fieldUpdated, Value: ""}}}})
	if err = errors.Join(err, s.mileposts.Drop(ctx)); err != nil {
		t.Fatal(err)
	}
	SetFormat(t, s, 1)
}

// Format is the version that a database is marked with.
func Format(t *testing.T, s *Store) int {
	n, err := s.format(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Watch makes a store that is opened with the options tell of each command. It
// is called from many goroutines, and may keep what it is given.
func Watch(o *Options, told func(name string, command bson.Raw)) {
	o.watch = func(e *event.CommandStartedEvent) { told(e.CommandName, append(bson.Raw{}, e.Command...)) }
}

// Explain returns the stages of the plan that the server chooses for a command.
func Explain(t *testing.T, s *Store, command bson.Raw) map[string]bool {
	t.Helper()
	var plan bson.M
	err := s.db.RunCommand(t.Context(), bson.D{{Key: "explain", Value: explainable(t, command)},
		{Key: "verbosity", Value: "queryPlanner"}}).Decode(&plan)
	if err != nil {
		t.Fatal(err)
	}
	stages := map[string]bool{}
	collect(plan, stages)
	return stages
}

// explainable leaves out what belongs to the session and not to the question.
func explainable(t *testing.T, command bson.Raw) (out bson.D) {
	var all bson.D
	if err := bson.Unmarshal(command, &all); err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		switch e.Key {
		case "lsid", "txnNumber", "startTransaction", "autocommit", "$db", "$clusterTime", "$readPreference",
			"readConcern", "writeConcern", "maxTimeMS":
		default:
			out = append(out, e)
		}
	}
	return out
}

// collect finds the stages of the winning plan, at any depth.
func collect(v any, stages map[string]bool) {
	switch v := v.(type) {
	case bson.D:
		for _, e := range v {
			if name, ok := e.Value.(string); ok && e.Key == "stage" {
				stages[name] = true
			}
			if e.Key != "rejectedPlans" {
				collect(e.Value, stages)
			}
		}
	case bson.M:
		for k, e := range v {
			if name, ok := e.(string); ok && k == "stage" {
				stages[name] = true
			}
			if k != "rejectedPlans" {
				collect(e, stages)
			}
		}
	case bson.A:
		for _, e := range v {
			collect(e, stages)
		}
	}
}

// Corrupt damages the stored body of a current version.
func Corrupt(t *testing.T, s *Store, k repository.Key) {
	t.Helper()
	res, err := s.records.UpdateByID(t.Context(), recordID(k),
		bson.D{{Key: "$set", Value: bson.D{{Key: fieldBody, Value: []byte("damaged")}}}})
	if err != nil || res.MatchedCount != 1 {
		t.Fatalf("damaging a record: %v", err)
	}
}

// SetFence puts the fence of a move up or takes it down, whoever is connected.
func SetFence(t *testing.T, s *Store, up bool) {
	how := "$unset"
	if up {
		how = "$set"
	}
	if err := s.setFence(t.Context(), how); err != nil {
		t.Fatal(err)
	}
}

// CommitTogether decides batches as one group, as requests are that arrive
// while another transaction is under way.
func CommitTogether(t *testing.T, s *Store, batches ...repository.Batch) (refused []error) {
	t.Helper()
	var g group
	for _, b := range batches {
		g.jobs = append(g.jobs, &job{batch: b, done: make(chan error, 1)})
	}
	g.s = s
	if err := g.commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	return g.refused
}

// EndSessions ends every session of every client, as an operator may.
func EndSessions(t *testing.T, s *Store) {
	t.Helper()
	err := s.client.Database("admin").RunCommand(t.Context(), bson.D{{Key: "killAllSessions", Value: bson.A{}}}).Err()
	if err != nil {
		t.Fatal(err)
	}
}
