package account_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/route"
	"vetting/ui/account"
)

// factor makes the secrets of second factors.
const factor = "a secret of thirty-two bytes, 789"

const good = "a fine long password"

var home = netip.MustParseAddr("192.0.2.7")

type bench struct {
	*account.Book

	clock  *coretest.Clock
	ledger *coretest.Ledger
}

func setUp(t *testing.T) bench {
	t.Helper()

	clock, ledger := coretest.NewClock(), coretest.NewLedger()

	return bench{account.New(account.Config{Ledger: ledger, Now: clock.Now, Rand: rand.Reader, Factor: []byte(factor)}), clock, ledger}
}

// withAdmin has a user "ada" with the password good.
func withAdmin(t *testing.T) (bench, string) {
	t.Helper()

	b := setUp(t)

	link, err := b.NewLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	cookie, err := b.Redeem(t.Context(), link, "Ada", good)
	if err != nil {
		t.Fatal(err)
	}

	return b, cookie
}

func TestAOneTimeLinkSetsThePasswordOnce(t *testing.T) {
	t.Parallel()

	b := setUp(t)
	ctx := t.Context()

	if peopled, err := b.Peopled(ctx); peopled || err != nil {
		t.Fatalf("a new ledger is peopled: %t, %v", peopled, err)
	}

	link, err := b.NewLink(ctx)
	if err != nil {
		t.Fatal(err)
	}

	for key, value := range b.ledger.Dump(core.TableSetting) {
		if strings.Contains(value, link) {
			t.Errorf("setting %s holds the link itself", key)
		}
	}

	if _, err := b.Redeem(ctx, "wrong", "ada", good); !errors.Is(err, core.ErrRefused) {
		t.Errorf("a wrong link: %v, want ErrRefused", err)
	}

	if _, err := b.Redeem(ctx, link, "ada", "short"); !errors.Is(err, core.ErrInvalid) {
		t.Errorf("a short password: %v, want ErrInvalid", err)
	}

	cookie, err := b.Redeem(ctx, link, "Ada", good)
	if err != nil {
		t.Fatal(err)
	}

	if who, err := b.Session(ctx, cookie, true); err != nil || who.Name != "ada" || who.Scope != route.Admin {
		t.Errorf("Session = %+v, %v", who, err)
	}

	if _, err := b.Redeem(ctx, link, "eve", good); !errors.Is(err, core.ErrRefused) {
		t.Errorf("the link a second time: %v, want ErrRefused", err)
	}

	if peopled, err := b.Peopled(ctx); !peopled || err != nil {
		t.Errorf("peopled: %t, %v", peopled, err)
	}
}

func TestALinkIsRedeemedOnceHoweverManyTryAtTheSameTime(t *testing.T) {
	t.Parallel()

	b := setUp(t)

	link, err := b.NewLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		wins int
	)

	for i := range 6 {
		wg.Go(func() {
			if _, err := b.Redeem(t.Context(), link, fmt.Sprintf("user%d", i), good); err == nil {
				mu.Lock()
				wins++
				mu.Unlock()
			}
		})
	}

	wg.Wait()

	if wins != 1 {
		t.Errorf("%d redeemed the link, want 1", wins)
	}
}

func TestALinkExpiresAndANewOneVoidsTheOld(t *testing.T) {
	t.Parallel()

	b := setUp(t)
	ctx := t.Context()

	first, _ := b.NewLink(ctx)
	second, _ := b.NewLink(ctx)

	if _, err := b.CheckLink(ctx, first); !errors.Is(err, core.ErrRefused) {
		t.Errorf("the older link: %v, want ErrRefused", err)
	}

	b.clock.Advance(account.LinkLife - time.Second)

	if _, err := b.CheckLink(ctx, second); err != nil {
		t.Errorf("a second before its end: %v", err)
	}

	b.clock.Advance(time.Second)

	if _, err := b.Redeem(ctx, second, "ada", good); !errors.Is(err, core.ErrExpired) {
		t.Errorf("at its end: %v, want ErrExpired", err)
	}
}

func TestARedeemedLinkResetsAPasswordAndEndsItsSessions(t *testing.T) {
	t.Parallel()

	b, old := withAdmin(t)
	ctx := t.Context()

	link, _ := b.NewLink(ctx)
	if _, err := b.Redeem(ctx, link, "ada", "another fine password"); err != nil {
		t.Fatal(err)
	}

	if _, err := b.Session(ctx, old, true); !errors.Is(err, core.ErrUnauthorized) {
		t.Errorf("the old session: %v, want ErrUnauthorized", err)
	}

	if _, err := b.Login(ctx, "ada", good, home); !errors.Is(err, core.ErrUnauthorized) {
		t.Errorf("the old password: %v, want ErrUnauthorized", err)
	}

	if _, err := b.Login(ctx, " ADA ", "another fine password", home); err != nil {
		t.Errorf("the new password: %v", err)
	}
}

func TestPasswordsAreHeldToTheRules(t *testing.T) {
	t.Parallel()

	bad := map[string]string{
		"eleven characters":  "elevenchars",
		"one of the list":    "password1234",
		"of the list, upper": "PASSWORD1234",
		"four words of it":   "correct horse battery staple",
		"one letter":         strings.Repeat("a", 20),
		"three letters":      strings.Repeat("abc", 5),
		"too long":           strings.Repeat("abcdef", 100),
		"the name repeated":  "adalovelaceadalovelace",
		"not text":           "good password \xff\xfe",
	}

	for name, password := range bad {
		if err := account.CheckPassword("adalovelace", password); !errors.Is(err, core.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}

	for _, password := range []string{good, "päßwörter gehen auch", strings.Repeat("abcdefgh", 8), "zwölf zeichen"} {
		if err := account.CheckPassword("adalovelace", password); err != nil {
			t.Errorf("%q: %v", password, err)
		}
	}
}

func TestSessionsEndWhenIdleWhenOldAndOnLogout(t *testing.T) {
	t.Parallel()

	t.Run("idle", func(t *testing.T) {
		t.Parallel()

		b, cookie := withAdmin(t)
		b.clock.Advance(account.IdleLife)

		if _, err := b.Session(t.Context(), cookie, true); !errors.Is(err, core.ErrUnauthorized) {
			t.Errorf("after idling: %v, want ErrUnauthorized", err)
		}
	})

	t.Run("used, and still ended after twelve hours", func(t *testing.T) {
		t.Parallel()

		b, cookie := withAdmin(t)

		for passed := time.Duration(0); passed+20*time.Minute < account.SessionLife; passed += 20 * time.Minute {
			b.clock.Advance(20 * time.Minute)

			if _, err := b.Session(t.Context(), cookie, true); err != nil {
				t.Fatalf("in use after %s: %v", passed, err)
			}
		}

		b.clock.Advance(20 * time.Minute)

		if _, err := b.Session(t.Context(), cookie, true); !errors.Is(err, core.ErrUnauthorized) {
			t.Errorf("after twelve hours: %v, want ErrUnauthorized", err)
		}
	})

	t.Run("a page that refreshes itself keeps nothing awake", func(t *testing.T) {
		t.Parallel()

		b, cookie := withAdmin(t)

		for range 3 {
			b.clock.Advance(10*time.Minute - time.Second)

			if _, err := b.Session(t.Context(), cookie, false); err != nil {
				t.Fatal(err)
			}
		}

		b.clock.Advance(3 * time.Second)

		if _, err := b.Session(t.Context(), cookie, false); !errors.Is(err, core.ErrUnauthorized) {
			t.Errorf("after 30 minutes without a person: %v, want ErrUnauthorized", err)
		}
	})

	t.Run("logout", func(t *testing.T) {
		t.Parallel()

		b, cookie := withAdmin(t)
		if err := b.Logout(t.Context(), cookie); err != nil {
			t.Fatal(err)
		}

		if _, err := b.Session(t.Context(), cookie, true); !errors.Is(err, core.ErrUnauthorized) {
			t.Errorf("after logout: %v, want ErrUnauthorized", err)
		}
	})
}

func TestNoSecretIsEverInTheLedger(t *testing.T) {
	t.Parallel()

	b, cookie := withAdmin(t)

	secret, _, err := b.CreateToken(t.Context(), account.Caller{Name: "ada", Owner: "ada"}, "ci", route.Read, 0)
	if err != nil {
		t.Fatal(err)
	}

	for _, table := range []core.Table{core.TableUser, core.TableSession, core.TableToken, core.TableSetting} {
		for key, value := range b.ledger.Dump(table) {
			for _, hidden := range []string{good, cookie, secret} {
				if strings.Contains(key+value, hidden) {
					t.Errorf("%s/%s holds a secret", table, key)
				}
			}
		}
	}
}

func TestChangingThePasswordNeedsTheOldOne(t *testing.T) {
	t.Parallel()

	b, cookie := withAdmin(t)
	ctx := t.Context()

	if _, err := b.ChangePassword(ctx, "ada", "not the old one", "another fine password"); !errors.Is(err, core.ErrUnauthorized) {
		t.Errorf("with a wrong old password: %v, want ErrUnauthorized", err)
	}

	fresh, err := b.ChangePassword(ctx, "ada", good, "another fine password")
	if err != nil {
		t.Fatal(err)
	}

	if _, err := b.Session(ctx, cookie, true); err == nil {
		t.Error("the session from before lives on")
	}

	if _, err := b.Session(ctx, fresh, true); err != nil {
		t.Errorf("the fresh session: %v", err)
	}
}

func TestTokensOpenWhatTheirScopeSaysUntilRevoked(t *testing.T) {
	t.Parallel()

	b := setUp(t)
	ctx := t.Context()

	secret, made, err := b.CreateToken(ctx, account.AtTerminal(), "  lab   script ", route.Operate, 0)
	if err != nil || !strings.HasPrefix(secret, "vet_") || made.Name != "lab script" {
		t.Fatalf("CreateToken = %q, %+v, %v", secret, made, err)
	}

	who, err := b.Token(ctx, secret)
	if err != nil || who.Scope != route.Operate || who.Name != "token lab script" {
		t.Errorf("Token = %+v, %v", who, err)
	}

	list, err := b.Tokens(ctx)
	if err != nil || len(list) != 1 || list[0].ID != made.ID || list[0].LastUsed.IsZero() {
		t.Errorf("Tokens = %+v, %v", list, err)
	}

	for _, wrong := range []string{"", "vet_", secret + "x", strings.TrimPrefix(secret, "vet_")} {
		if _, err := b.Token(ctx, wrong); !errors.Is(err, core.ErrUnauthorized) {
			t.Errorf("token %q: %v, want ErrUnauthorized", wrong, err)
		}
	}

	for _, id := range []string{"", "x", made.ID[:4], "000000000000"} {
		if err := b.RevokeToken(ctx, "ada", id); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("revoking %q: %v, want ErrNotFound", id, err)
		}
	}

	if err := b.RevokeToken(ctx, "ada", made.ID); err != nil {
		t.Fatal(err)
	}

	if _, err := b.Token(ctx, secret); !errors.Is(err, core.ErrUnauthorized) {
		t.Errorf("after revoking: %v, want ErrUnauthorized", err)
	}
}

func TestATokenThatHasALifeEndsWithIt(t *testing.T) {
	t.Parallel()

	b := setUp(t)
	ctx := t.Context()

	secret, made, err := b.CreateToken(ctx, account.AtTerminal(), "ci", route.Read, time.Hour)
	if err != nil || !made.ExpiresAt.Equal(made.CreatedAt.Add(time.Hour)) {
		t.Fatalf("CreateToken = %+v, %v", made, err)
	}

	b.clock.Advance(time.Hour - time.Second)

	if _, err := b.Token(ctx, secret); err != nil {
		t.Errorf("a second before its end: %v", err)
	}

	b.clock.Advance(time.Second)

	if _, err := b.Token(ctx, secret); !errors.Is(err, core.ErrUnauthorized) {
		t.Errorf("at its end: %v, want ErrUnauthorized", err)
	}

	if list, err := b.Tokens(ctx); err != nil || len(list) != 1 || !list[0].ExpiresAt.Equal(made.ExpiresAt) {
		t.Errorf("Tokens = %+v, %v", list, err)
	}

	for _, life := range []time.Duration{-time.Second, 11 * 365 * 24 * time.Hour} {
		if _, _, err := b.CreateToken(ctx, account.Caller{Name: "ada", Owner: "ada"}, "ci", route.Read, life); !errors.Is(err, core.ErrInvalid) {
			t.Errorf("a life of %s: %v, want ErrInvalid", life, err)
		}
	}
}

func TestTokensNeedANameAndAScope(t *testing.T) {
	t.Parallel()

	b := setUp(t)

	for _, tt := range []struct {
		name  string
		scope route.Scope
	}{{"", route.Read}, {"   ", route.Read}, {strings.Repeat("x", 65), route.Read}, {"ci", route.None}, {"ci", "root"}} {
		if _, _, err := b.CreateToken(t.Context(), account.Caller{Name: "ada", Owner: "ada"}, tt.name, tt.scope, 0); !errors.Is(err, core.ErrInvalid) {
			t.Errorf("CreateToken(%q, %q): %v, want ErrInvalid", tt.name, tt.scope, err)
		}
	}
}

func TestWrongPasswordsAreSlowedDownAndNeverLockedOut(t *testing.T) {
	t.Parallel()

	b, _ := withAdmin(t)
	ctx := t.Context()

	login := func(password string) error {
		_, err := b.Login(ctx, "ada", password, home)

		return err
	}

	for i := range 5 {
		b.clock.Advance(time.Second)

		if err := login("wrong password"); !errors.Is(err, core.ErrUnauthorized) {
			t.Fatalf("try %d: %v, want ErrUnauthorized", i+1, err)
		}
	}

	var soon *account.TooSoon

	if err := login(good); !errors.As(err, &soon) || soon.Wait != 2*time.Second {
		t.Fatalf("the right password at once: %v, want to wait 2 s", err)
	}

	waits := []time.Duration{}

	for range 12 {
		b.clock.Advance(soon.Wait)

		if err := login("wrong password"); !errors.Is(err, core.ErrUnauthorized) {
			t.Fatalf("after the wait: %v", err)
		}

		if err := login(good); !errors.As(err, &soon) {
			t.Fatalf("right after a wrong one: %v, want TooSoon", err)
		}

		waits = append(waits, soon.Wait)
	}

	if waits[0] != 4*time.Second || waits[1] != 8*time.Second || waits[11] != 15*time.Minute {
		t.Errorf("waits %v", waits)
	}

	b.clock.Advance(soon.Wait)

	if err := login(good); err != nil {
		t.Errorf("the right password after the longest wait: %v", err)
	}

	if err := login("wrong password"); !errors.Is(err, core.ErrUnauthorized) {
		t.Errorf("a wrong one after a good login: %v, want ErrUnauthorized", err)
	}
}

func TestTheThrottleCountsNetworksAndEverybodyTogether(t *testing.T) {
	t.Parallel()

	b, _ := withAdmin(t)

	var soon *account.TooSoon

	for i := range 5 { // another name and address each time, one network
		b.clock.Advance(time.Second)

		addr := netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})
		if _, err := b.Login(t.Context(), fmt.Sprintf("name%d", i), "wrong password", addr); !errors.Is(err, core.ErrUnauthorized) {
			t.Fatal(err)
		}
	}

	b.clock.Advance(time.Second)

	if _, err := b.Login(t.Context(), "ada", good, netip.MustParseAddr("192.0.2.99")); !errors.As(err, &soon) {
		t.Errorf("from the same /24: %v, want TooSoon", err)
	}

	if _, err := b.Login(t.Context(), "ada", good, netip.MustParseAddr("198.51.100.1")); err != nil {
		t.Errorf("from another network: %v", err)
	}

	throttle, now := account.NewThrottle(), coretest.Start()

	for i := range 5 {
		if wait := throttle.Try(now, fmt.Sprint(i)); wait != 0 {
			t.Errorf("try %d of this second must wait %s", i+1, wait)
		}
	}

	if wait := throttle.Try(now, "sixth"); wait != time.Second {
		t.Errorf("the sixth of this second waits %s, want 1 s", wait)
	}
}

func TestTheThrottleForgetsTheOldestWhenFull(t *testing.T) {
	t.Parallel()

	throttle, now := account.NewThrottle(), coretest.Start()

	for i := range 5000 {
		now = now.Add(time.Second)
		throttle.Try(now, fmt.Sprint(i))
	}

	if got := throttle.Size(); got != 4096 {
		t.Errorf("%d keys are remembered, want 4096", got)
	}
}

func TestAnUnknownUserCostsAndLooksLikeAWrongPassword(t *testing.T) {
	t.Parallel()

	b, _ := withAdmin(t)

	for _, name := range []string{"nobody", "", "a/b", strings.Repeat("x", 10000)} {
		b.clock.Advance(time.Minute)

		_, err := b.Login(t.Context(), name, "wrong password", home)

		var p *core.Problem
		if !errors.As(err, &p) || p.Code != "account/wrong-password" {
			t.Errorf("name %.20q: %v", name, err)
		}

	}
}
