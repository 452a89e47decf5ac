package login

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/authz/account"
	"github.com/fieldseal/fieldseal/authz/login/logintest"
	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
)

func TestPasswordLogsIn(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.enrolled("user:nurse")
	anonymous, s, err := d.Begin(t.Context())
	d.must(err)
	if s.Stage != Anonymous || s.CSRF == "" {
		t.Fatalf("%+v", s)
	}
	secret, s, err := d.Password(t.Context(), anonymous, peer, "nurse", phrase)
	d.must(err)
	if s.Stage != LoggedIn || s.Account != "user:nurse" || fmt.Sprint(s.AMR) != "[pwd]" || !s.Fresh(d.clock.Now()) {
		t.Errorf("%+v", s)
	}
	if got := d.rec.last(); got != [3]string{"login", "", "user:nurse"} {
		t.Error(got)
	}
	again, err := d.Open(t.Context(), secret)
	d.must(err)
	if again.Account != s.Account || again.CSRF != s.CSRF {
		t.Errorf("%+v", again)
	}
	d.must(d.End(t.Context(), secret, peer))
	if _, err := d.Open(t.Context(), secret); !errors.Is(err, ErrNoSession) {
		t.Error(err)
	}
}

// TestNobodyLearnsWhichAccountsExist: unknown, ended, without a password, or
// with another one: the same answer, and the same work.
func TestNobodyLearnsWhichAccountsExist(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.enrolled("user:nurse")
	d.must(d.Accounts.Create(t.Context(), account.Account{Subject: "user:gone", Roles: []string{"role:nurse"}}))
	d.enrolled("user:gone")
	_, err := d.Accounts.Change(t.Context(), "user:gone", func(a *account.Account) error { a.Disabled = true; return nil })
	d.must(err)
	reads := map[int]int{}
	for name, password := range map[string]string{"nurse": "wrong password", "gone": phrase, "chief": phrase, "nobody": phrase, "": phrase, strings.Repeat("x", 5000): phrase, "nurse\x00": phrase} {
		calls := 0
		d.table.SetFault(func(keyringtest.Op, []byte) error { calls++; return nil })
		_, _, err := d.Password(t.Context(), "", other, name, password)
		if err != ErrWrong {
			t.Errorf("%.20q: %v", name, err)
		}
		reads[calls]++
		e := d.rec.last()
		if e[0] != "failure" || strings.Contains(strings.Join(e[:], " "), "nobody") {
			t.Errorf("%.20q: %v", name, e)
		}
	}
	if len(reads) != 1 {
		t.Errorf("store calls differ: %v", reads)
	}
}

// TestGuessingIsSlowed: per account and network, and the delay grows, is capped,
// and ends.
func TestGuessingIsSlowed(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.enrolled("user:chief")
	d.clock.Advance(3 * time.Hour)
	refused := 0
	for range 40 {
		if _, _, err := d.Password(t.Context(), "", other, "chief", "guess guess guess"); errors.Is(err, ErrTooMany) {
			refused++
			d.clock.Advance(time.Second)
		}
	}
	if refused < 30 {
		t.Errorf("%d of 40 were refused", refused)
	}
	d.clock.Advance(15 * time.Minute)
	if _, _, err := d.Password(t.Context(), "", other, "chief", phrase); err != nil {
		t.Errorf("the delay does not end: %v", err)
	}
}

// TestGuessersDoNotLockOutAnAdministrator: many networks guess; who logged in
// from a network before is not held up there.
func TestGuessersDoNotLockOutAnAdministrator(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	_, secret := d.withTOTP("user:chief") // known from peer now
	d.must(d.End(t.Context(), secret, peer))
	blocked := false
	for i := range 80 {
		_, _, err := d.Password(t.Context(), "", fmt.Sprintf("203.0.%d.1", i), "chief", "guess guess guess")
		blocked = blocked || errors.Is(err, ErrTooMany)
	}
	if !blocked {
		t.Error("guessing from many networks is not slowed")
	}
	if _, _, err := d.Password(t.Context(), "", peer, "chief", phrase); err != nil {
		t.Errorf("locked out: %v", err)
	}
	if _, _, err := d.Password(t.Context(), "", other, "chief", phrase); !errors.Is(err, ErrTooMany) {
		t.Errorf("an unknown network: %v", err)
	}
	d.must(d.Unlock(t.Context(), "user:chief"))
	if _, _, err := d.Password(t.Context(), "", other, "chief", phrase); err != nil {
		t.Errorf("unlocked: %v", err)
	}
}

// TestSprayingFromOneNetworkIsSlowed: one password on many names.
func TestSprayingFromOneNetworkIsSlowed(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	checked := 0
	for i := range 70 {
		if _, _, err := d.Password(t.Context(), "", fmt.Sprintf("198.51.100.%d", i), fmt.Sprintf("user%d", i), "Winter2026!!"); err == ErrWrong {
			checked++
		}
	}
	if checked > ofNetwork.free {
		t.Errorf("%d were checked", checked)
	}
}

// TestParallelGuessesAreAllCounted: attempts are counted before they are checked.
func TestParallelGuessesAreAllCounted(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.enrolled("user:nurse")
	d.clock.Advance(3 * time.Hour)
	var checked atomic.Int32
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() {
			if _, _, err := d.Password(t.Context(), "", other, "nurse", "guess guess guess"); err == ErrWrong {
				checked.Add(1)
			}
		})
	}
	all.Wait()
	if n := checked.Load(); int(n) > ofPair.free {
		t.Errorf("%d of 32 parallel guesses were checked", n)
	}
}

func TestWeakPasswordsAreRefused(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	var err error
	d.Breached, err = ReadBreached(strings.NewReader("iloveyou1234567\r\n7C4A8D09CA3762AF61E59520943DC26494F8941B:37\n"))
	d.must(err)
	link := d.invite("user:nurse")
	for name, password := range map[string]string{"short": "elevenchars", "long": strings.Repeat("abcde", 300), "the name": "my name is NURSE ok", "repeats": "abababababababab",
		"breached": "iloveyou1234567", "no text": "\xff\xfe invalid utf eight"} {
		if _, _, err := d.Accept(t.Context(), link, peer, password); !errors.Is(err, ErrWeak) || strings.Contains(err.Error(), password) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !d.Breached.contains("123456") { // SHA-1 of the list
		t.Error("a hashed line is not found")
	}
	if _, _, err := d.Accept(t.Context(), link, peer, phrase); err != nil {
		t.Errorf("a refused password used the link up: %v", err)
	}
}

// TestLinkIsUsedOnce, also by 16 browsers at once; a newer link, a reset and a
// day void it.
func TestLinkIsUsedOnce(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	link := d.invite("user:nurse")
	if who, err := d.Invitation(t.Context(), link, peer); err != nil || who != "user:nurse" {
		t.Fatal(who, err)
	}
	var won atomic.Int32
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			if _, _, err := d.Accept(t.Context(), link, peer, phrase); err == nil {
				won.Add(1)
			} else if !errors.Is(err, ErrLink) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 {
		t.Errorf("%d used one link", won.Load())
	}
	for name, void := range map[string]func(){
		"a newer link": func() { d.invite("user:nurse") },
		"a reset":      func() { d.must(d.Reset(t.Context(), "user:nurse")) },
		"a day":        func() { d.clock.Advance(LinkLife) },
	} {
		link := d.invite("user:nurse")
		void()
		if _, err := d.Invitation(t.Context(), link, peer); !errors.Is(err, ErrLink) {
			t.Errorf("%s: %v", name, err)
		}
		if _, _, err := d.Accept(t.Context(), link, peer, phrase); !errors.Is(err, ErrLink) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, bad := range []string{"", "fsi_", "fsi_" + strings.Repeat("A", 43), strings.Repeat("x", 1<<16)} {
		if _, err := d.Invitation(t.Context(), bad, peer); !errors.Is(err, ErrLink) {
			t.Errorf("%.10q: %v", bad, err)
		}
	}
}

// TestRoleThatNeedsASecondFactorEnrolsFirst: until then the session is good for
// enrolment alone.
func TestRoleThatNeedsASecondFactorEnrolsFirst(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	secret, s := d.enrolled("user:chief")
	if s.Stage != NeedsEnrolment {
		t.Fatalf("%+v", s)
	}
	offer, err := d.BeginTOTP(t.Context(), secret)
	d.must(err)
	if again, err := d.BeginTOTP(t.Context(), secret); err != nil || again.Secret != offer.Secret || len(again.QR) < 100 || !strings.HasPrefix(again.URI, "otpauth://totp/Fieldseal:chief?") {
		t.Errorf("%+v %v", again.URI, err)
	}
	if _, _, err := d.ConfirmTOTP(t.Context(), secret, peer, "000000x"); err != ErrWrong {
		t.Error(err)
	}
	fresh, s, err := d.ConfirmTOTP(t.Context(), secret, peer, d.app(offer.Secret))
	d.must(err)
	if s.Stage != LoggedIn || fmt.Sprint(s.AMR) != "[pwd otp mfa]" || fresh == secret {
		t.Errorf("%+v", s)
	}
	if _, err := d.Open(t.Context(), secret); !errors.Is(err, ErrNoSession) {
		t.Errorf("the session before still works: %v", err)
	}
	if _, _, err := d.RemoveTOTP(t.Context(), fresh, peer); !errors.Is(err, ErrLastFactor) {
		t.Errorf("the last factor of a role that needs one: %v", err)
	}
	d.clock.Advance(time.Minute)
	half, s, err := d.Password(t.Context(), "", peer, "chief", phrase)
	d.must(err)
	if s.Stage != NeedsFactor {
		t.Errorf("%+v", s)
	}
	for name, call := range map[string]func() error{
		"enrol another app":   func() error { _, err := d.BeginTOTP(t.Context(), half); return err },
		"enrol a passkey":     func() error { _, err := d.BeginRegister(t.Context(), half); return err },
		"recovery codes":      func() error { _, err := d.RecoveryCodes(t.Context(), half, peer); return err },
		"another password":    func() error { _, _, err := d.ChangePassword(t.Context(), half, peer, phrase, phrase+"!"); return err },
		"removing the factor": func() error { _, _, err := d.RemoveTOTP(t.Context(), half, peer); return err },
	} {
		if err := call(); !errors.Is(err, ErrStale) {
			t.Errorf("%s with one factor: %v", name, err)
		}
	}
}

// TestTimeCodeIsAcceptedOnce: again, in parallel, and an older step after a
// newer one.
func TestTimeCodeIsAcceptedOnce(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	app, _ := d.withTOTP("user:chief")
	code := d.app(app)
	var won atomic.Int32
	var all sync.WaitGroup
	for i := range 4 {
		secret, _, err := d.Password(t.Context(), "", peer, "chief", phrase)
		d.must(err)
		all.Go(func() {
			if _, _, err := d.TOTP(t.Context(), secret, peer, code); err == nil {
				won.Add(1)
			} else if err != ErrWrong {
				t.Errorf("%d: %v", i, err)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 {
		t.Errorf("%d used one code", won.Load())
	}
	d.clock.Advance(time.Hour)
	secret, _, err := d.Password(t.Context(), "", peer, "chief", phrase)
	d.must(err)
	older := d.app(app)
	d.clock.Advance(30 * time.Second)
	secret, _, err = d.TOTP(t.Context(), secret, peer, d.app(app))
	d.must(err)
	if _, _, err := d.TOTP(t.Context(), secret, peer, older); err != ErrWrong {
		t.Errorf("an older step: %v", err)
	}
}

func TestRecoveryCodeIsUsedOnce(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	_, secret := d.withTOTP("user:chief")
	codes, err := d.RecoveryCodes(t.Context(), secret, peer)
	d.must(err)
	if len(codes) != 10 {
		t.Fatal(codes)
	}
	login := func(code string) error {
		half, _, err := d.Password(t.Context(), "", peer, "chief", phrase)
		d.must(err)
		_, _, err = d.Recovery(t.Context(), half, peer, code)
		return err
	}
	if err := login(strings.ToUpper(strings.ReplaceAll(codes[3], "-", " "))); err != nil {
		t.Error(err)
	}
	if err := login(codes[3]); err != ErrWrong {
		t.Errorf("again: %v", err)
	}
	if f, err := d.Factors(t.Context(), "user:chief"); err != nil || f.RecoveryLeft != 9 || !f.TOTP || !f.Password {
		t.Errorf("%+v %v", f, err)
	}
	if err := login(codes[4]); err != nil {
		t.Error(err)
	}
}

// TestSessionSecretChangesAtEachRise: whoever planted or saw the secret before
// has nothing after (session fixation).
func TestSessionSecretChangesAtEachRise(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	app, _ := d.withTOTP("user:chief")
	anonymous, _, err := d.Begin(t.Context())
	d.must(err)
	half, _, err := d.Password(t.Context(), anonymous, peer, "chief", phrase)
	d.must(err)
	whole, _, err := d.TOTP(t.Context(), half, peer, d.app(app))
	d.must(err)
	d.clock.Advance(time.Minute)
	stepped, s, err := d.TOTP(t.Context(), whole, peer, d.app(app))
	d.must(err)
	if d.rec.last()[0] != "step-up" || s.Stage != LoggedIn {
		t.Error(d.rec.last(), s)
	}
	for _, old := range []string{half, whole} {
		if _, err := d.Open(t.Context(), old); !errors.Is(err, ErrNoSession) {
			t.Errorf("an earlier secret works: %v", err)
		}
	}
	if s, err := d.Open(t.Context(), anonymous); err != nil || s.Stage != Anonymous {
		t.Errorf("%+v %v", s, err)
	}
	if _, err := d.Open(t.Context(), stepped); err != nil {
		t.Error(err)
	}
}

// TestStolenSessionEndsWithTheCredentials: a change of credentials, a disabled
// account, time.
func TestStolenSessionEndsWithTheCredentials(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(d *desk, mine, theirs string){
		"another password": func(d *desk, mine, _ string) {
			_, _, err := d.ChangePassword(t.Context(), mine, peer, phrase, "another phrase of words")
			d.must(err)
		},
		"a reset":  func(d *desk, _, _ string) { d.must(d.Reset(t.Context(), "user:nurse")) },
		"end all":  func(d *desk, _, _ string) { d.must(d.EndAll(t.Context(), "user:nurse")) },
		"idleness": func(d *desk, _, _ string) { d.clock.Advance(Idle) },
		"a disabled account": func(d *desk, _, _ string) {
			_, err := d.Accounts.Change(t.Context(), "user:nurse", func(a *account.Account) error { a.Disabled = true; return nil })
			d.must(err)
		},
		"half a day of use": func(d *desk, _, theirs string) {
			for range 12*3 - 1 {
				d.clock.Advance(20 * time.Minute)
				if _, err := d.Open(t.Context(), theirs); err != nil {
					t.Fatal(err)
				}
			}
			d.clock.Advance(20 * time.Minute)
		},
	} {
		d := newDesk(t)
		d.enrolled("user:nurse")
		theirs, _, err := d.Password(t.Context(), "", other, "nurse", phrase)
		d.must(err)
		mine, _, err := d.Password(t.Context(), "", peer, "nurse", phrase)
		d.must(err)
		end(d, mine, theirs)
		if _, err := d.Open(t.Context(), theirs); !errors.Is(err, ErrNoSession) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestPasskeys walks WebAuthn with a software authenticator, and its attacks.
func TestPasskeys(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	secret, _ := d.enrolled("user:chief")
	key := logintest.New(origin, "fhir.test")
	options, err := d.BeginRegister(t.Context(), secret)
	d.must(err)
	answer, err := key.Register(options)
	d.must(err)
	secret, s, err := d.FinishRegister(t.Context(), secret, peer, "My <b>key\x00 ", answer)
	d.must(err)
	if s.Stage != LoggedIn || fmt.Sprint(s.AMR) != "[pwd pop user mfa]" {
		t.Errorf("%+v", s)
	}
	if _, _, err := d.FinishRegister(t.Context(), secret, peer, "again", answer); err != ErrWrong {
		t.Errorf("a registration again: %v", err)
	}
	f, err := d.Factors(t.Context(), "user:chief")
	d.must(err)
	if len(f.Passkeys) != 1 || f.Passkeys[0].Name != "My <b>key" {
		t.Errorf("%+v", f.Passkeys)
	}
	login := func(change func(*logintest.Authenticator)) ([]byte, string, error) {
		half, _, err := d.Password(t.Context(), "", peer, "chief", phrase)
		d.must(err)
		options, err := d.BeginPasskey(t.Context(), half)
		d.must(err)
		k := *key
		if change != nil {
			change(&k)
		}
		answer, err := k.Answer(options)
		d.must(err)
		key.Counter = max(key.Counter, k.Counter)
		_, s, err := d.FinishPasskey(t.Context(), half, peer, answer)
		if err == nil && s.Stage != LoggedIn {
			t.Errorf("%+v", s)
		}
		return answer, half, err
	}
	used, half, err := login(nil)
	d.must(err)
	if _, _, err := d.FinishPasskey(t.Context(), half, peer, used); !errors.Is(err, ErrNoSession) {
		t.Errorf("replayed in the same session: %v", err)
	}
	half, _, err = d.Password(t.Context(), "", peer, "chief", phrase)
	d.must(err)
	if _, err := d.BeginPasskey(t.Context(), half); err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.FinishPasskey(t.Context(), half, peer, used); err != ErrWrong {
		t.Errorf("replayed under another challenge: %v", err)
	}
	if _, _, err := d.FinishPasskey(t.Context(), half, peer, used); err != ErrWrong {
		t.Errorf("a challenge twice: %v", err)
	}
	for name, change := range map[string]func(*logintest.Authenticator){
		"another origin":            func(k *logintest.Authenticator) { k.Origin = "https://fhir.test.evil.example" },
		"another relying party":     func(k *logintest.Authenticator) { k.RPID = "evil.example" },
		"without user verification": func(k *logintest.Authenticator) { k.Unverified = true },
		"a cloned counter":          func(k *logintest.Authenticator) { k.Counter = 0 },
	} {
		d.clock.Advance(3 * time.Hour)
		if _, _, err := login(change); err != ErrWrong {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := d.rec.last(); got[0] != "failure" || got[2] != "user:chief" {
		t.Error(got)
	}
}

// TestOriginByAddressHasNoPasskeys: WebAuthn names relying parties by domain.
func TestOriginByAddressHasNoPasskeys(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	o := d.Options
	o.Origin = "http://127.0.0.1:8080"
	s, err := New(o)
	if err != nil || s.Passkeys() {
		t.Error(err, s.Passkeys())
	}
	o.Origin = "nonsense"
	if _, err := New(o); err == nil {
		t.Error("nonsense is an origin")
	}
}

// TestNothingHappensWithoutAnAuditRecord: the trail fails, so does the login.
func TestNothingHappensWithoutAnAuditRecord(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	link := d.invite("user:nurse")
	d.rec.down = true
	if _, _, err := d.Accept(t.Context(), link, peer, phrase); !errors.Is(err, audit.ErrUnavailable) {
		t.Error(err)
	}
	d.rec.down = false
	if _, _, err := d.Accept(t.Context(), link, peer, phrase); err != nil {
		t.Errorf("the link was used: %v", err)
	}
	d.rec.down = true
	for _, password := range []string{phrase, "wrong password"} {
		if _, _, err := d.Password(t.Context(), "", peer, "nurse", password); !errors.Is(err, audit.ErrUnavailable) {
			t.Error(err)
		}
	}
}

// TestFederatedLoginIsOneFactorUnlessTheProviderSaysMore.
func TestFederatedLoginIsOneFactorUnlessTheProviderSaysMore(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for _, c := range []struct {
		amr  []string
		want Stage
	}{{nil, NeedsEnrolment}, {[]string{"pwd"}, NeedsEnrolment}, {[]string{"pwd", MFA}, LoggedIn}} {
		_, s, err := d.Federated(t.Context(), "", peer, "user:chief", c.amr, d.clock.Now())
		if err != nil || s.Stage != c.want {
			t.Errorf("%v: %+v %v", c.amr, s, err)
		}
	}
	if _, _, err := d.Federated(t.Context(), "", peer, "user:nobody", nil, d.clock.Now()); err != ErrWrong {
		t.Error(err)
	}
}

// TestRowsNameNobody: keys are hashes and pseudonyms, values are sealed under a
// secret or by the keystore, which this test leaves out.
func TestRowsNameNobody(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	secret, _ := d.enrolled("user:nurse")
	link := d.invite("user:chief")
	_, _, _ = d.Password(t.Context(), "", other, "nurse", "wrong password")
	for row, err := range d.table.Scan(t.Context(), nil) {
		d.must(err)
		text := string(row.Key) + string(row.Value)
		for _, bad := range []string{"nurse", "chief", secret, link, phrase, peer, other} {
			if strings.Contains(text, bad) && !strings.HasPrefix(string(row.Key), rowProofs) || strings.Contains(string(row.Key), bad) {
				t.Errorf("%.20q shows %.10s", row.Key, bad)
			}
		}
	}
}

func TestSweepKeepsWhatCounts(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	secret, _ := d.enrolled("user:nurse")
	_, _, _ = d.Password(t.Context(), "", other, "nurse", "wrong password")
	if n, err := d.Sweep(t.Context()); err != nil || n != 0 {
		t.Errorf("%d %v", n, err)
	}
	if _, err := d.Open(t.Context(), secret); err != nil {
		t.Error(err)
	}
	d.clock.Advance(100 * 24 * time.Hour)
	if n, err := d.Sweep(t.Context()); err != nil || n < 4 {
		t.Errorf("%d %v", n, err)
	}
	if _, _, err := d.Password(t.Context(), "", peer, "nurse", phrase); err != nil {
		t.Errorf("credentials were swept: %v", err)
	}
}

// TestHashesFollowTheCost: OWASP's minimum at least, and hashes of before are
// made again at the next login.
func TestHashesFollowTheCost(t *testing.T) {
	t.Parallel()
	if standardCost.memory*standardCost.passes < 19<<10*2 {
		t.Error("below the minimum")
	}
	d := newDesk(t)
	d.enrolled("user:nurse")
	d.cost = cost{128, 2}
	_, _, err := d.Password(t.Context(), "", peer, "nurse", phrase)
	d.must(err)
	c, _, err := d.load(t.Context(), "user:nurse")
	d.must(err)
	if !d.cost.is(*c.Password) {
		t.Errorf("%+v", c.Password)
	}
	if _, _, err := d.Password(t.Context(), "", peer, "nurse", phrase); err != nil {
		t.Error(err)
	}
}
