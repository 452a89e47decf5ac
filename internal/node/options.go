package node

import (
	"errors"
	"time"

	"github.com/fieldseal/fieldseal/repository"
)

// Defaults of Options.
const (
	// DefaultBeat is how often a node looks at the table: changes reach every
	// node within a few of them, which is below 5 s.
	DefaultBeat = time.Second
	// DefaultValidity is how long a node works on without having renewed its row.
	DefaultValidity = 6 * time.Second
	// defaultMargin allows for clocks that do not run equally fast.
	defaultMargin = 2 * time.Second
)

// Sentinel errors.
var (
	// ErrTaken means that a living node has the name.
	ErrTaken = errors.New("a node of this name is running")
	// ErrRules means that a living node makes other index entries.
	ErrRules = errors.New("a node with another index profile or release is running")
	// ErrBusy means that another node does the work.
	ErrBusy = errors.New("the work is under way")
	// ErrLapsed means that this node could not renew its row in time.
	ErrLapsed = errors.New("this node has not reached the database in time")
)

// Options configure Join. Table, Name, Folder and Longest are required.
type Options struct {
	Table repository.Table
	Name  string // of this node among all
	// Folder keeps this node's instance, so that a restart after a crash need not
	// wait until its predecessor counts as dead. It is locked.
	Folder string
	// Rules names how this node makes index entries. Nodes with different rules
	// must not run at the same time: each would miss what the other wrote.
	Rules string
	// Longest bounds every operation of the store.
	Longest time.Duration

	Beat, Validity time.Duration
	margin         time.Duration // shorter in tests

	// Lost is called when another process took this node's name; the process
	// must end.
	Lost func(error)
	// Departed hears of nodes that were found dead.
	Departed func(name string)
	// Trouble hears of the first of failed renewals in a row.
	Trouble func(error)
}

func (o *Options) setDefaults() error {
	if o.Table == nil || o.Name == "" || o.Folder == "" || o.Longest <= 0 {
		return errors.New("node: table, name, folder and longest operation are required")
	}
	if o.Beat <= 0 {
		o.Beat = DefaultBeat
	}
	if o.Validity <= 0 {
		o.Validity = DefaultValidity
	}
	if o.margin <= 0 {
		o.margin = defaultMargin
	}
	for _, f := range []*func(error){&o.Lost, &o.Trouble} {
		if *f == nil {
			*f = func(error) {}
		}
	}
	if o.Departed == nil {
		o.Departed = func(string) {}
	}
	return nil
}

// dead is how long a row must stay unchanged until its node counts as dead:
// what the node began while it was valid has ended by then.
func (o *Options) dead() time.Duration { return o.Validity + o.Longest + o.margin }
