package account_test

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/ui/account"
)

// clocks are the clock on the wall, which anybody may set, and the one that only
// runs.
type clocks struct {
	wall *coretest.Clock
	up   time.Duration
}

// pass lets time pass on both.
func (c *clocks) pass(d time.Duration) {
	c.wall.Advance(d)
	c.up += d
}

func (c *clocks) book(ledger core.Ledger) *account.Book {
	start := c.up

	return account.New(account.Config{Ledger: ledger, Now: c.wall.Now, Rand: rand.Reader, Uptime: func() time.Duration { return c.up - start }})
}

func jumps() map[string]time.Duration {
	return map[string]time.Duration{
		"a day on": 24 * time.Hour, "a day back": -24 * time.Hour, "ten years on": 87600 * time.Hour, "ten years back": -87600 * time.Hour,
	}
}

// Setting the clock neither ends a session nor keeps it alive.
func TestAClockThatIsSetChangesNoSession(t *testing.T) {
	t.Parallel()

	for name, jump := range jumps() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			c, ledger := &clocks{wall: coretest.NewClock()}, coretest.NewLedger()
			b := c.book(ledger)
			cookie := admin(t, b)

			c.pass(10 * time.Minute)
			c.wall.Advance(jump)

			if _, err := b.Session(t.Context(), cookie, true); err != nil {
				t.Fatalf("right after the clock was set: %v", err)
			}

			// Another login must not sweep it away either.
			if _, err := b.Login(t.Context(), "ada", good, home); err != nil {
				t.Fatal(err)
			}

			c.pass(account.IdleLife - time.Second)

			if _, err := b.Session(t.Context(), cookie, false); err != nil {
				t.Errorf("a second before it idles out: %v", err)
			}

			c.pass(time.Second)

			if _, err := b.Session(t.Context(), cookie, false); !errors.Is(err, core.ErrUnauthorized) {
				t.Errorf("idle: %v, want ErrUnauthorized", err)
			}
		})
	}
}

func TestAClockThatIsSetDoesNotStretchTwelveHours(t *testing.T) {
	t.Parallel()

	c, ledger := &clocks{wall: coretest.NewClock()}, coretest.NewLedger()
	b := c.book(ledger)
	cookie := admin(t, b)

	for range 36 {
		c.pass(20*time.Minute - time.Second)
		c.wall.Advance(-20 * time.Minute) // back, each time

		if _, err := b.Session(t.Context(), cookie, true); err != nil {
			t.Fatal(err)
		}
	}

	c.pass(time.Minute)

	if _, err := b.Session(t.Context(), cookie, true); !errors.Is(err, core.ErrUnauthorized) {
		t.Errorf("after twelve hours: %v, want ErrUnauthorized", err)
	}
}

// After a start only the wall knows how old a session is: it goes on where that
// makes sense, and ends where it does not.
func TestASessionOutlivesARestartWhereTheClockMakesSense(t *testing.T) {
	t.Parallel()

	for name, tt := range map[string]struct {
		down, jump time.Duration
		lives      bool
	}{
		"a short one":                    {down: 10 * time.Second, lives: true},
		"as long as a session may idle":  {down: account.IdleLife},
		"the clock a little behind":      {down: 10 * time.Second, jump: -time.Minute, lives: true},
		"the clock reset to years ago":   {down: 10 * time.Second, jump: -87600 * time.Hour},
		"the clock set a day on":         {down: 10 * time.Second, jump: 24 * time.Hour},
		"the clock set a few minutes on": {down: 10 * time.Second, jump: 5 * time.Minute, lives: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			c, ledger := &clocks{wall: coretest.NewClock()}, coretest.NewLedger()
			cookie := admin(t, c.book(ledger))

			c.pass(tt.down)
			c.wall.Advance(tt.jump)

			b := c.book(ledger)
			if _, err := b.Session(t.Context(), cookie, true); (err == nil) != tt.lives {
				t.Errorf("after the start: %v", err)
			}

			if !tt.lives {
				return
			}

			if b.Fresh(keyOf(t, b, cookie)) {
				t.Error("the password counts as just typed")
			}

			c.wall.Advance(48 * time.Hour) // from here on the clock may be set again

			if _, err := b.Session(t.Context(), cookie, true); err != nil {
				t.Errorf("after the clock was set: %v", err)
			}

			c.pass(account.IdleLife)

			if _, err := b.Session(t.Context(), cookie, true); err == nil {
				t.Error("it does not idle out")
			}
		})
	}
}

func TestAClockThatIsSetChangesNoOneTimeLink(t *testing.T) {
	t.Parallel()

	for name, jump := range jumps() {
		c, ledger := &clocks{wall: coretest.NewClock()}, coretest.NewLedger()
		b := c.book(ledger)

		link, err := b.NewLink(t.Context())
		if err != nil {
			t.Fatal(err)
		}

		c.wall.Advance(jump)
		c.pass(account.LinkLife - time.Second)

		if _, err := b.CheckLink(t.Context(), link); err != nil {
			t.Errorf("%s: %v", name, err)
		}

		c.pass(time.Second)

		if _, err := b.CheckLink(t.Context(), link); !errors.Is(err, core.ErrExpired) {
			t.Errorf("%s: at its end: %v, want ErrExpired", name, err)
		}
	}
}

func TestAOneTimeLinkOutlivesARestartWhereTheClockMakesSense(t *testing.T) {
	t.Parallel()

	for jump, good := range map[time.Duration]bool{0: true, 5 * time.Minute: true, -87600 * time.Hour: false, time.Hour: false, -time.Minute: true} {
		c, ledger := &clocks{wall: coretest.NewClock()}, coretest.NewLedger()

		link, err := c.book(ledger).NewLink(t.Context())
		if err != nil {
			t.Fatal(err)
		}

		c.pass(time.Minute)
		c.wall.Advance(jump)

		if _, err := c.book(ledger).CheckLink(t.Context(), link); (err == nil) != good {
			t.Errorf("the clock %s off: %v", jump, err)
		}
	}
}

// A wait for the next try does not become a day when the clock is set back.
func TestAClockThatIsSetChangesNoWait(t *testing.T) {
	t.Parallel()

	c, ledger := &clocks{wall: coretest.NewClock()}, coretest.NewLedger()
	b := c.book(ledger)
	admin(t, b)

	for range 5 {
		c.pass(time.Second)

		if _, err := b.Login(t.Context(), "ada", "wrong password", home); !errors.Is(err, core.ErrUnauthorized) {
			t.Fatal(err)
		}
	}

	c.wall.Advance(-24 * time.Hour)

	var soon *account.TooSoon

	if _, err := b.Login(t.Context(), "ada", good, home); !errors.As(err, &soon) || soon.Wait != 2*time.Second {
		t.Errorf("%v, want to wait 2 s", err)
	}

	c.pass(2 * time.Second)

	if _, err := b.Login(t.Context(), "ada", good, home); err != nil {
		t.Error(err)
	}
}

func TestAPasswordCountsAsTypedForFiveMinutes(t *testing.T) {
	t.Parallel()

	c, ledger := &clocks{wall: coretest.NewClock()}, coretest.NewLedger()
	b := c.book(ledger)
	old := admin(t, b)
	ctx := t.Context()

	if !b.Fresh(keyOf(t, b, old)) {
		t.Error("right after it was set, it does not count")
	}

	c.wall.Advance(-time.Hour)
	c.pass(account.FreshLife)

	if b.Fresh(keyOf(t, b, old)) {
		t.Error("after five minutes it still counts")
	}

	if _, err := b.Renew(ctx, old, "not the password", home); !errors.Is(err, core.ErrUnauthorized) {
		t.Errorf("a wrong one: %v, want ErrUnauthorized", err)
	}

	if b.Fresh(keyOf(t, b, old)) {
		t.Error("a wrong one counts")
	}

	fresh, err := b.Renew(ctx, old, good, home)
	if err != nil || fresh == old {
		t.Fatal(err)
	}

	if !b.Fresh(keyOf(t, b, fresh)) {
		t.Error("typed again, it does not count")
	}

	if _, err := b.Session(ctx, old, true); !errors.Is(err, core.ErrUnauthorized) {
		t.Errorf("the cookie before: %v, want ErrUnauthorized", err)
	}

	// It is the same session still: it ends when it would have ended.
	for range 35 {
		c.pass(20 * time.Minute)

		if _, err := b.Session(ctx, fresh, true); err != nil {
			t.Fatal(err)
		}
	}

	c.pass(20 * time.Minute)

	if _, err := b.Session(ctx, fresh, true); err == nil {
		t.Error("typing the password again stretched the session")
	}
}

func TestTriesToTypeAPasswordAgainAreCounted(t *testing.T) {
	t.Parallel()

	c, ledger := &clocks{wall: coretest.NewClock()}, coretest.NewLedger()
	b := c.book(ledger)
	cookie := admin(t, b)

	for range 5 {
		c.pass(time.Second)

		if _, err := b.Renew(t.Context(), cookie, "not the password", home); !errors.Is(err, core.ErrUnauthorized) {
			t.Fatal(err)
		}
	}

	var soon *account.TooSoon

	if _, err := b.Renew(t.Context(), cookie, good, home); !errors.As(err, &soon) {
		t.Errorf("the right one at once: %v, want to wait", err)
	}
}

// full is a ledger on a disk that takes nothing more.
type full struct{ core.Ledger }

func (full) Update(context.Context, func(core.Txn) error) (uint64, error) { return 0, core.ErrFull }

// A full disk must not keep people from looking.
func TestASessionOfAFullDiskLivesInMemory(t *testing.T) {
	t.Parallel()

	c, ledger := &clocks{wall: coretest.NewClock()}, coretest.NewLedger()
	admin(t, c.book(ledger))

	b := c.book(full{ledger})
	ctx := t.Context()

	cookie, err := b.Login(ctx, "ada", good, home)
	if err != nil {
		t.Fatal(err)
	}

	for range 3 {
		c.pass(20 * time.Minute)

		if who, err := b.Session(ctx, cookie, true); err != nil || who.Name != "ada" {
			t.Fatal(who, err)
		}
	}

	if _, err := b.Alive(ctx, keyOf(t, b, cookie)); err != nil {
		t.Error(err)
	}

	c.pass(account.IdleLife)

	if _, err := b.Session(ctx, cookie, true); err == nil {
		t.Error("it does not idle out")
	}

	again, err := b.Login(ctx, "ada", good, home)
	if err != nil {
		t.Fatal(err)
	}

	_ = b.Logout(ctx, again) // it says that the ledger is full

	if _, err := b.Session(ctx, again, true); err == nil {
		t.Error("it outlives the logout")
	}
}

// admin sets the password of ada and returns the cookie of her session.
func admin(t *testing.T, b *account.Book) string {
	t.Helper()

	link, err := b.NewLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	cookie, err := b.Redeem(t.Context(), link, "ada", good)
	if err != nil {
		t.Fatal(err)
	}

	return cookie
}

func keyOf(t *testing.T, b *account.Book, cookie string) string {
	t.Helper()

	who, err := b.Session(t.Context(), cookie, false)
	if err != nil {
		t.Fatal(err)
	}

	return who.Session
}
