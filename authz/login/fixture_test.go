package login

import (
	"context"
	"crypto/sha256"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/authz/account"
	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
	"github.com/fieldseal/fieldseal/repository"
)

const (
	origin = "https://fhir.test"
	peer   = "192.0.2.7"
	other  = "198.51.100.9" // of another network
	phrase = "correct horse battery staple"
)

// unsealed leaves rows as they are, so that frozen bytes can be read by eye.
type unsealed struct{}

func (unsealed) SealRow(plain []byte, _ string, _ []byte) ([]byte, error)  { return plain, nil }
func (unsealed) OpenRow(sealed []byte, _ string, _ []byte) ([]byte, error) { return sealed, nil }
func (unsealed) StorageID(kind, value string) (id repository.StorageID) {
	sum := sha256.Sum256([]byte(kind + "\x00" + value))
	copy(id[:], sum[:])
	return id
}

// recorder keeps events in memory; down makes it refuse them.
type recorder struct {
	mu      sync.Mutex
	events  []audit.Event
	preAuth []string
	down    bool
}

func (r *recorder) Record(_ context.Context, e audit.Event) (audit.Receipt, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.down {
		return audit.Receipt{}, audit.ErrUnavailable
	}
	r.events = append(r.events, e)
	return audit.Receipt{}, nil
}

func (r *recorder) Queue(audit.Event) {}

func (r *recorder) RecordPreAuth(_, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.preAuth = append(r.preAuth, reason)
}

// last is the last event, as subtype, reason and subject.
func (r *recorder) last() [3]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.events) == 0 {
		return [3]string{}
	}
	e := r.events[len(r.events)-1]
	return [3]string{e.Subtype, e.Reason, e.Agent.Subject}
}

// desk is a Service with two people: nurse, whose role needs no second factor,
// and chief, whose does.
type desk struct {
	*Service
	t     *testing.T
	table *keyringtest.Table
	on    repository.Table // table, or that of an engine
	clock *keyringtest.Clock
	rec   *recorder

	ending sync.Mutex // guards ended
	ended  []string   // accounts whose grants were ended
	outage error
}

func newDesk(t *testing.T) *desk { t.Helper(); return newDeskOn(t, nil) }

func newDeskOn(t *testing.T, table repository.Table) *desk {
	t.Helper()
	d := &desk{t: t, table: keyringtest.NewTable(), on: table, clock: keyringtest.NewClock(), rec: &recorder{}}
	if d.on == nil {
		d.on = d.table
	}
	accounts := account.NewDirectory(keyringtest.NewTable(), unsealed{})
	for _, a := range []account.Account{{Subject: "user:nurse", Roles: []string{"role:nurse"}}, {Subject: "user:chief", Roles: []string{"role:admin"}}} {
		d.must(accounts.Create(t.Context(), a))
	}
	d.Service = d.node(accounts)
	return d
}

// node is another node over the same tables.
func (d *desk) node(accounts *account.Directory) *Service {
	s, err := New(Options{Table: d.on, Sealer: unsealed{}, Accounts: accounts, Origin: origin, Grants: d, Recorder: d.rec, Gatekeeper: d.rec, Now: d.clock.Now,
		NeedsFactor: func(a account.Account) bool { return a.Roles[0] == "role:admin" }})
	d.must(err)
	s.cost = cost{64, 1} // what it costs is not what these tests are about
	s.dummy = s.cost.hash("nobody", newSalt())
	return s
}

// EndGrants notes whose grants were ended, unless there is an outage.
func (d *desk) EndGrants(_ context.Context, account string) (int, error) {
	if d.outage != nil {
		return 0, d.outage
	}
	d.ending.Lock()
	defer d.ending.Unlock()
	d.ended = append(d.ended, account)
	return 1, nil
}

func (d *desk) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

// invite returns the secret of a link.
func (d *desk) invite(subject string) string {
	d.t.Helper()
	link, _, err := d.Invite(d.t.Context(), subject)
	d.must(err)
	return link[len(origin+EnrolPath+"?link="):]
}

// enrolled sets a password and returns the session that comes with it.
func (d *desk) enrolled(subject string) (string, Session) {
	d.t.Helper()
	secret, s, err := d.Accept(d.t.Context(), d.invite(subject), peer, phrase)
	d.must(err)
	return secret, s
}

// app is an authenticator app.
func (d *desk) app(secret string) string {
	d.t.Helper()
	code, err := totp.GenerateCodeCustom(secret, d.clock.Now(), totp.ValidateOpts{Period: totpPeriod, Digits: totpDigits, Algorithm: otp.AlgorithmSHA1})
	d.must(err)
	return code
}

// withTOTP enrols the account's app and returns the app's secret and the
// session.
func (d *desk) withTOTP(subject string) (app, secret string) {
	d.t.Helper()
	secret, _ = d.enrolled(subject)
	offer, err := d.BeginTOTP(d.t.Context(), secret)
	d.must(err)
	secret, s, err := d.ConfirmTOTP(d.t.Context(), secret, peer, d.app(offer.Secret))
	d.must(err)
	if s.Stage != LoggedIn {
		d.t.Fatalf("%+v", s)
	}
	d.clock.Advance(time.Minute)
	return offer.Secret, secret
}
