package account_test

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"vetting/core"
	"vetting/core/route"
	"vetting/ui/account"
)

// The first test vectors of RFC 6238, appendix B, for SHA-1, cut to six digits.
func TestCodesAreThoseOfTheRFC(t *testing.T) {
	t.Parallel()

	for at, want := range map[int64]string{59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130"} {
		if got := account.Code([]byte("12345678901234567890"), at/30); got != want {
			t.Errorf("at %d: %s, want %s", at, got, want)
		}
	}
}

// phone is an authenticator, written anew from RFC 4226 and RFC 6238.
type phone struct{ key []byte }

func scan(t *testing.T, e account.Enrolment) phone {
	t.Helper()

	at, err := url.Parse(e.URI)
	if err != nil || at.Scheme != "otpauth" || at.Host != "totp" || at.Query().Get("issuer") != "vetting lab" || at.Path != "/vetting lab:ada" || strings.Contains(e.URI, "+") {
		t.Fatalf("%s %v", e.URI, err)
	}

	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(at.Query().Get("secret"))
	if err != nil || len(key) != 20 || at.Query().Get("secret") != e.Secret {
		t.Fatalf("%s %v", e.Secret, err)
	}

	return phone{key}
}

func (p phone) at(moment time.Time) string {
	mac := hmac.New(sha1.New, p.key)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(moment.Unix()/30)))
	sum := mac.Sum(nil)
	low := sum[19] & 15

	return fmt.Sprintf("%06d", (binary.BigEndian.Uint32(sum[low:])&0x7fffffff)%1000000)
}

// enrolled has a user "ada" with a second factor; time has gone on to the next code.
func enrolled(t *testing.T) (bench, phone, []string) {
	t.Helper()

	b, _ := withAdmin(t)

	e, err := b.BeginTOTP(t.Context(), "ada", "vetting lab", "")
	if err != nil {
		t.Fatal(err)
	}

	if again, waits, err := b.PendingTOTP(t.Context(), "ada", "vetting lab"); err != nil || !waits || again != e {
		t.Errorf("what waits is %+v %t %v", again, waits, err)
	}

	p := scan(t, e)

	if _, err := b.Login(t.Context(), "ada", good, home); err != nil {
		t.Errorf("before it is confirmed the password opens: %v", err)
	}

	if _, err := b.ConfirmTOTP(t.Context(), "ada", "000000"); !errors.Is(err, core.ErrInvalid) {
		t.Errorf("a wrong code: %v", err)
	}

	spare, err := b.ConfirmTOTP(t.Context(), "ada", p.at(b.clock.Now()))
	if err != nil || len(spare) != 10 {
		t.Fatal(spare, err)
	}

	b.clock.Advance(time.Minute)

	return b, p, spare
}

// ticket types the right password.
func (b bench) ticket(t *testing.T) string {
	t.Helper()
	b.clock.Advance(time.Second) // only so many tries are taken in one

	cookie, err := b.Login(t.Context(), "ada", good, home)

	need, ok := errors.AsType[*account.NeedCode](err)
	if !ok || cookie != "" {
		t.Fatalf("the password alone: %q %v", cookie, err)
	}

	return need.Ticket
}

func TestAPasswordAloneDoesNotOpenWhereThereIsASecondFactor(t *testing.T) {
	t.Parallel()

	b, p, _ := enrolled(t)
	ticket := b.ticket(t)

	cookie, err := b.LoginCode(t.Context(), ticket, " "+p.at(b.clock.Now())[:3]+" "+p.at(b.clock.Now())[3:], home)
	if err != nil {
		t.Fatal(err)
	}

	if who, err := b.Session(t.Context(), cookie, true); err != nil || who.Name != "ada" || who.Role != route.Administrator {
		t.Errorf("%+v %v", who, err)
	}

	if _, err := b.LoginCode(t.Context(), ticket, p.at(b.clock.Now().Add(30*time.Second)), home); err == nil {
		t.Error("a ticket opens twice")
	}

	// A code is used up with the login, whoever tries it again, and so are those before it.
	for _, at := range []time.Duration{0, -30 * time.Second} {
		if _, err := b.LoginCode(t.Context(), b.ticket(t), p.at(b.clock.Now().Add(at)), home); codeOf(err) != "account/wrong-code" {
			t.Errorf("the code of %s again: %v", at, err)
		}
	}

	// A phone may be half a minute off, and no more.
	b.clock.Advance(5 * time.Minute)

	for _, at := range []time.Duration{-time.Minute, time.Minute} {
		if _, err := b.LoginCode(t.Context(), b.ticket(t), p.at(b.clock.Now().Add(at)), home); codeOf(err) != "account/wrong-code" {
			t.Errorf("a code %s off: %v", at, err)
		}
	}

	if _, err := b.LoginCode(t.Context(), b.ticket(t), p.at(b.clock.Now().Add(30*time.Second)), home); err != nil {
		t.Errorf("the next code: %v", err)
	}
}

func TestNoSecretOfASecondFactorIsInTheLedger(t *testing.T) {
	t.Parallel()

	b, p, spare := enrolled(t)

	for _, value := range b.ledger.Dump(core.TableUser) {
		encoded, _ := json.Marshal(p.key)
		for _, secret := range append([]string{string(p.key), base32.StdEncoding.EncodeToString(p.key), strings.Trim(string(encoded), `"`)}, spare...) {
			if strings.Contains(value, secret) || strings.Contains(value, strings.ReplaceAll(secret, "-", "")) {
				t.Errorf("the ledger has %q: %s", secret, value)
			}
		}
	}
}

func TestARecoveryCodeOpensOnce(t *testing.T) {
	t.Parallel()

	b, _, spare := enrolled(t)

	if _, err := b.LoginCode(t.Context(), b.ticket(t), strings.ToLower(spare[3]), home); err != nil {
		t.Fatal(err)
	}

	if _, err := b.LoginCode(t.Context(), b.ticket(t), spare[3], home); codeOf(err) != "account/wrong-code" {
		t.Errorf("a second time: %v", err)
	}

	if users, err := b.Users(t.Context()); err != nil || !users[0].TOTP || users[0].SpareCodes != 9 {
		t.Errorf("%+v %v", users, err)
	}

	fresh, err := b.NewSpareCodes(t.Context(), "ada", spare[5])
	if err != nil {
		t.Fatal(err)
	}

	if _, err := b.LoginCode(t.Context(), b.ticket(t), spare[4], home); codeOf(err) != "account/wrong-code" {
		t.Errorf("one of those before: %v", err)
	}

	if _, err := b.LoginCode(t.Context(), b.ticket(t), fresh[4], home); err != nil {
		t.Errorf("a new one: %v", err)
	}
}

// Guessing: five codes for a password, and a wait that grows whoever asks from where.
func TestCodesCannotBeGuessed(t *testing.T) {
	t.Parallel()

	b, p, _ := enrolled(t)
	ticket := b.ticket(t)

	for n := range 5 {
		if _, err := b.LoginCode(t.Context(), ticket, fmt.Sprintf("%06d", n), netip.AddrFrom4([4]byte{192, 0, byte(n), 1})); codeOf(err) != "account/wrong-code" {
			t.Fatalf("try %d: %v", n, err)
		}

		b.clock.Advance(time.Second)
	}

	if _, err := b.LoginCode(t.Context(), ticket, p.at(b.clock.Now()), home); codeOf(err) != "account/code-late" {
		t.Errorf("a sixth with one password: %v", err)
	}

	if _, err := b.LoginCode(t.Context(), b.ticket(t), "999999", home); codeOf(err) != "account/wrong-code" {
		t.Errorf("a sixth with another: %v", err)
	}

	soon, ok := errors.AsType[*account.TooSoon](second(b.LoginCode(t.Context(), b.ticket(t), p.at(b.clock.Now()), home)))
	if !ok {
		t.Fatal("a fresh password lets whoever guesses go on at once")
	}

	b.clock.Advance(soon.Wait)

	if _, err := b.LoginCode(t.Context(), b.ticket(t), p.at(b.clock.Now()), home); err != nil {
		t.Errorf("after the wait: %v", err)
	}

	late := b.ticket(t)
	b.clock.Advance(5 * time.Minute)

	if _, err := b.LoginCode(t.Context(), late, p.at(b.clock.Now()), home); codeOf(err) != "account/code-late" {
		t.Errorf("a password of five minutes ago: %v", err)
	}
}

func second(_ string, err error) error { return err }

// Neither a one-time link nor a full disk is a way around a second factor.
func TestALinkDoesNotStandForASecondFactor(t *testing.T) {
	t.Parallel()

	b, p, _ := enrolled(t)

	link, err := b.NewLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	cookie, err := b.Redeem(t.Context(), link, "ada", "another fine password")
	if err != nil || cookie != "" {
		t.Fatalf("%q %v", cookie, err)
	}

	_, err = b.Login(t.Context(), "ada", "another fine password", home)

	need, ok := errors.AsType[*account.NeedCode](err)
	if !ok {
		t.Fatal(err)
	}

	if _, err := b.LoginCode(t.Context(), need.Ticket, p.at(b.clock.Now()), home); err != nil {
		t.Error(err)
	}
}

func TestAFullDiskAsksForTheCodeToo(t *testing.T) {
	t.Parallel()

	whole, p, spare := enrolled(t)
	b := bench{account.New(account.Config{Ledger: full{whole.ledger}, Now: whole.clock.Now, Rand: rand.Reader, Factor: []byte(factor)}), whole.clock, whole.ledger}
	code := p.at(b.clock.Now())

	for _, wrong := range []string{"000000", "", spare[0]} { // a recovery code that cannot be used up would open for ever
		if _, err := b.LoginCode(t.Context(), b.ticket(t), wrong, home); err == nil {
			t.Errorf("%q opens", wrong)
		}
	}

	if _, err := b.LoginCode(t.Context(), b.ticket(t), code, home); err != nil {
		t.Fatal(err)
	}

	if _, err := b.LoginCode(t.Context(), b.ticket(t), code, home); codeOf(err) != "account/wrong-code" {
		t.Errorf("a code opens twice: %v", err)
	}
}

func codeOf(err error) string {
	if known, ok := errors.AsType[*core.Problem](err); ok {
		return known.Code
	}

	return ""
}

func TestAnAdministratorTakesASecondFactorAway(t *testing.T) {
	t.Parallel()

	b, _, _ := enrolled(t)

	if _, err := b.ResetTOTP(t.Context(), "ada", "ada"); codeOf(err) != "account/own-totp" {
		t.Errorf("one's own without a code: %v", err)
	}

	if changed, err := b.ResetTOTP(t.Context(), "root", "ada"); err != nil || changed.TOTP {
		t.Fatalf("%+v %v", changed, err)
	}

	if _, err := b.Login(t.Context(), "ada", good, home); err != nil {
		t.Errorf("the password alone: %v", err)
	}

	if _, err := b.ResetTOTP(t.Context(), "root", "ada"); codeOf(err) != "account/no-totp" {
		t.Errorf("a second time: %v", err)
	}

	if _, err := b.ResetTOTP(t.Context(), "root", "nobody"); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("of nobody: %v", err)
	}

	if _, err := b.NewSpareCodes(t.Context(), "ada", ""); codeOf(err) != "account/no-totp" {
		t.Errorf("recovery codes of none: %v", err)
	}

	if _, err := b.ConfirmTOTP(t.Context(), "ada", "123456"); codeOf(err) != "account/no-enrolment" {
		t.Errorf("confirming none: %v", err)
	}
}

// Whoever has come by an open session, and by the password, has no code.
func TestASecondFactorIsOnlyChangedWithACode(t *testing.T) {
	t.Parallel()

	b, p, spare := enrolled(t)

	for name, change := range map[string]func(typed string) error{
		"turning it off":        func(typed string) error { return b.DropTOTP(t.Context(), "ada", typed) },
		"new recovery codes":    func(typed string) error { _, err := b.NewSpareCodes(t.Context(), "ada", typed); return err },
		"another authenticator": func(typed string) error { _, err := b.BeginTOTP(t.Context(), "ada", "vetting lab", typed); return err },
	} {
		for _, typed := range []string{"", "000000", "AAAA-BBBB-CCCC-DDDD"} {
			b.clock.Advance(time.Minute)

			if err := change(typed); codeOf(err) != "account/wrong-code" {
				t.Errorf("%s with %q: %v", name, typed, err)
			}
		}
	}

	if users, err := b.Users(t.Context()); err != nil || !users[0].TOTP || users[0].SpareCodes != 10 {
		t.Errorf("%+v %v", users, err)
	}

	b.clock.Advance(time.Hour)

	code := p.at(b.clock.Now())
	if _, err := b.BeginTOTP(t.Context(), "ada", "vetting lab", code); err != nil {
		t.Fatalf("another authenticator with a code: %v", err)
	}

	if err := b.DropTOTP(t.Context(), "ada", code); codeOf(err) != "account/wrong-code" {
		t.Errorf("the same code again: %v", err)
	}

	b.clock.Advance(time.Hour)

	if err := b.DropTOTP(t.Context(), "ada", spare[0]); err != nil {
		t.Errorf("with a recovery code: %v", err)
	}

	if _, err := b.Login(t.Context(), "ada", good, home); err != nil {
		t.Errorf("afterwards the password alone: %v", err)
	}
}

func TestCodesToChangeASecondFactorCannotBeGuessed(t *testing.T) {
	t.Parallel()

	b, _, _ := enrolled(t)

	for n := range 50 {
		if _, soon := errors.AsType[*account.TooSoon](b.DropTOTP(t.Context(), "ada", fmt.Sprintf("%06d", n))); soon {
			return
		}
	}

	t.Error("fifty codes were tried at once")
}

// A clock that was years ahead when a code was used locks nobody out once it is right
// again, and no code opens twice for that.
func TestAClockThatWasAheadLocksNobodyOut(t *testing.T) {
	t.Parallel()

	b, p, _ := enrolled(t)
	right := b.clock.Now()

	first := p.at(right)
	if _, err := b.LoginCode(t.Context(), b.ticket(t), first, home); err != nil {
		t.Fatal(err)
	}

	b.clock.Advance(10 * 365 * 24 * time.Hour)

	ahead := p.at(b.clock.Now())
	if _, err := b.LoginCode(t.Context(), b.ticket(t), ahead, home); err != nil {
		t.Fatalf("with the clock ahead: %v", err)
	}

	b.clock.Advance(right.Sub(b.clock.Now()))

	if _, err := b.LoginCode(t.Context(), b.ticket(t), first, home); codeOf(err) != "account/wrong-code" {
		t.Errorf("a code that was used before the clock went wrong: %v", err)
	}

	b.clock.Advance(right.Add(time.Hour).Sub(b.clock.Now()))

	code := p.at(b.clock.Now())
	if _, err := b.LoginCode(t.Context(), b.ticket(t), code, home); err != nil {
		t.Errorf("locked out by a clock that was ahead: %v", err)
	}

	if _, err := b.LoginCode(t.Context(), b.ticket(t), code, home); codeOf(err) != "account/wrong-code" {
		t.Errorf("the same code again: %v", err)
	}
}
