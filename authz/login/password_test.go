package login

import (
	"errors"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/authz/account"
	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
)

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
