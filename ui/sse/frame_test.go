package sse_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/ui/sse"
)

func page(*fiber.Ctx) sse.Want { return sse.Want{Page: true} }

func TestAPageIsToldTheTimeAndAProgramIsNot(t *testing.T) {
	t.Parallel()

	at := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	quick := func(c *sse.Config) {
		c.Clock, c.Heartbeat, c.Now = 10*time.Millisecond, time.Minute, func() time.Time { return at }
	}

	in, _ := read(t, serve(t, quick, page).url, "")
	for range 2 { // at once, and again and again
		if m := next(t, in); m.event != "clock" || m.data != `{"now":"2026-11-30T12:00:00Z"}` || m.id != "" {
			t.Errorf("got %+v", m)
		}
	}

	b := serve(t, quick, nil)
	in, _ = read(t, b.url+"?after=0", "")

	time.AfterFunc(200*time.Millisecond, func() { b.happen(t, 1, core.EventHost) })

	if m := next(t, in); m.event != "host" {
		t.Errorf("got %+v", m)
	}
}

// A run that ends or waits is said in words, after the event that says so.
func TestAPageIsToldVerdictsInWords(t *testing.T) {
	t.Parallel()

	b := serve(t, nil, page)
	in, _ := read(t, b.url+"?after=0", "")
	next(t, in) // the appliance's time comes first

	for _, c := range []struct {
		notice core.Notice
		want   string
	}{
		{core.Notice{Topic: core.RunCompleted, Severity: core.Info, Text: "u1 passed quick"}, "pass"},
		{core.Notice{Topic: core.HoldingOpened, Severity: core.Critical, Text: "u1 is held"}, "hold"},
		{core.Notice{Topic: core.RunFailed, Severity: core.Critical, Text: "u1 never booted"}, "fail"},
		{core.Notice{Topic: core.StageFailed, Severity: core.Critical, Text: "SMART failed"}, ""},
		{core.Notice{Severity: core.Info, Text: "ada signed in"}, ""},
	} {
		data, _ := json.Marshal(c.notice)

		seq, err := b.ledger.Update(t.Context(), func(txn core.Txn) error {
			return txn.Emit(core.Event{Kind: core.EventNotice, Host: "52:54:00:00:00:01", Data: data})
		})
		if err != nil {
			t.Fatal(err)
		}

		b.bell.Ring(seq)

		if m := next(t, in); m.event != "notice" || m.id != fmt.Sprint(seq) {
			t.Fatalf("got %+v", m)
		}

		if c.want == "" {
			continue
		}

		m := next(t, in)
		want := fmt.Sprintf(`{"host":"52:54:00:00:00:01","run":"","state":%q,"text":%q}`, c.want, c.notice.Text)

		if m.event != "verdict" || m.data != want || m.id != "" {
			t.Errorf("got %+v, want %s", m, want)
		}
	}
}

// Somebody who signs out in another tab loses the stream at once, not at the next beat.
func TestAStreamLooksAtOnceWhetherItMayGoOn(t *testing.T) {
	t.Parallel()

	over := make(chan struct{})
	b := serve(t, func(c *sse.Config) { c.Heartbeat = time.Hour }, func(*fiber.Ctx) sse.Want {
		return sse.Want{Alive: func(context.Context) error {
			select {
			case <-over:
				return errors.New("signed out")
			default:
				return nil
			}
		}}
	})

	in, _ := read(t, b.url, "")
	wait(t, "the stream", func() bool { return b.hub.Open() == 1 })
	close(over)
	b.hub.Recheck()

	if m := next(t, in); m.event != "bye" || m.data != "logout" {
		t.Errorf("got %+v", m)
	}
}

func TestAnUpgradeSaysSo(t *testing.T) {
	t.Parallel()

	b := serve(t, func(c *sse.Config) { c.Upgraded = func() bool { return true } }, nil)
	in, _ := read(t, b.url, "")
	wait(t, "the stream", func() bool { return b.hub.Open() == 1 })
	b.hub.Close()

	if m := next(t, in); m.event != "bye" || m.data != "upgrade" {
		t.Errorf("got %+v", m)
	}
}

// However fast a log grows, a frame has 200 lines at most, and there are four a second.
func TestALogIsToldInFramesThatAPageCanTake(t *testing.T) {
	t.Parallel()

	const every = 60 * time.Millisecond

	b := serve(t, func(c *sse.Config) { c.LogEvery, c.Heartbeat = every, time.Hour }, func(*fiber.Ctx) sse.Want { return sse.Want{Run: "R"} })
	for range 1000 {
		b.logs.add("x")
	}

	in, _ := read(t, b.url+"?after=0", "")
	began, last := time.Now(), uint64(0)

	for n := range 5 {
		b.happen(t, 1, core.EventHost) // what happens otherwise brings no frame of the log

		m := next(t, in)
		for m.event != "log" {
			m = next(t, in)
		}

		var got struct {
			Lines []core.LogLine `json:"lines"`
			After uint64         `json:"after"`
		}

		if err := json.Unmarshal([]byte(m.data), &got); err != nil || len(got.Lines) != 200 || got.After != last+200 {
			t.Fatalf("frame %d: %d lines up to %d, %v", n, len(got.Lines), got.After, err)
		}

		last = got.After
	}

	if took := time.Since(began); took < 3*every {
		t.Errorf("five frames in %v", took)
	}
}
