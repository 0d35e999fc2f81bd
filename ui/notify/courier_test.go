package notify_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/signal"
	"vetting/ui/notify"
)

// bench is a courier with a ledger, whose targets are functions.
type bench struct {
	t       *testing.T
	ledger  *coretest.Ledger
	bell    *signal.Bell
	courier *notify.Courier

	slowly bool // keeping the cursor takes a while

	mu       sync.Mutex
	log      []string // what happened, in order
	outcomes []core.Delivery
}

func (b *bench) note(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()

	b.log = append(b.log, text)
}

func (b *bench) noted() []string {
	b.mu.Lock()
	defer b.mu.Unlock()

	return slices.Clone(b.log)
}

func (b *bench) came() map[string]core.Delivery {
	b.mu.Lock()
	defer b.mu.Unlock()

	all := map[string]core.Delivery{}
	for _, o := range b.outcomes {
		all[fmt.Sprintf("%d %s", o.Event, o.Target)] = o
	}

	return all
}

func (b *bench) Cursor(ctx context.Context) (uint64, error) {
	return notify.Book{Ledger: b.ledger}.Cursor(ctx)
}

func (b *bench) Advance(ctx context.Context, seq uint64) error {
	if b.slowly { // what is sent too early gets ahead of it
		time.Sleep(time.Second)
	}

	b.note(fmt.Sprintf("cursor %d", seq))

	return notify.Book{Ledger: b.ledger}.Advance(ctx, seq)
}

func (b *bench) Delivered(ctx context.Context, o core.Delivery) error {
	b.mu.Lock()
	b.outcomes = append(b.outcomes, o)
	b.mu.Unlock()

	return notify.Book{Ledger: b.ledger}.Delivered(ctx, o)
}

// target is one that needs no network: SetSender replaces what it speaks.
func target(name string, attempts int) notify.Target {
	return notify.Target{Name: name, Kind: notify.Ntfy, URL: "https://ntfy.invalid", Topic: "t", Attempts: attempts}
}

// program is a target that gets each message by itself.
func program(name string) notify.Target {
	return notify.Target{Name: name, Kind: notify.Webhook, URL: "https://hook.invalid", Sign: "0123456789abcdef"}
}

func newBench(t *testing.T, ledger *coretest.Ledger, config notify.Config) *bench {
	t.Helper()

	b := &bench{t: t, ledger: ledger, bell: signal.New()}

	var err error

	b.courier, err = notify.New(config, notify.Ports{Ledger: ledger, Bell: b.bell, Cursor: b, Outcomes: b})
	if err != nil {
		t.Fatal(err)
	}

	for i := range config.Targets {
		name := config.Targets[i].Name
		b.courier.SetSender(name, func(_ context.Context, title string) error {
			b.note("sent to " + name + ": " + title)

			return nil
		})
	}

	return b
}

// emit writes an event and rings.
func (b *bench) emit(kind core.EventKind, data any) {
	b.t.Helper()

	text, err := json.Marshal(data)
	if err != nil {
		b.t.Fatal(err)
	}

	seq, err := b.ledger.Update(b.t.Context(), func(tx core.Txn) error {
		return tx.Emit(core.Event{Kind: kind, Time: coretest.Start(), Host: coretest.MAC(1), Run: "01RUN", Data: text})
	})
	if err != nil {
		b.t.Fatal(err)
	}

	b.bell.Ring(seq)
}

func (b *bench) tell(topic core.Topic, severity core.Severity) {
	b.t.Helper()
	b.emit(core.EventNotice, core.Notice{Code: "threshold/breach", Severity: severity, Topic: topic, HostName: "rack1-u01", Text: "too hot"})
}

// run starts the courier; stop ends it and waits.
func (b *bench) run() (stop func()) {
	ctx, cancel := context.WithCancel(b.t.Context())
	ended := make(chan error, 1)

	go func() { ended <- b.courier.Run(ctx) }()

	return func() {
		cancel()

		if err := <-ended; !errors.Is(err, context.Canceled) {
			b.t.Errorf("Run ended with %v", err)
		}
	}
}

func TestTheCursorMovesBeforeAnythingIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := notify.Config{Targets: []notify.Target{target("phone", 0)}, Routes: []notify.Route{{To: []string{"phone"}}}}
		ledger := coretest.NewLedger()

		b := newBench(t, ledger, config)
		b.tell(core.StageFailed, core.Critical) // before there was any courier: history

		stop := b.run()
		synctest.Wait()
		b.emit(core.EventRun, core.RunChange{}) // tells nobody anything
		b.emit(core.EventNotice, core.Notice{Code: "account/login", Text: "audit: no topic"})
		synctest.Wait()

		if got := b.noted(); len(got) != 0 {
			t.Errorf("with nothing to tell: %q", got)
		}

		b.slowly = true
		b.tell(core.HoldingOpened, core.Critical)
		time.Sleep(time.Minute)
		stop()

		want := []string{"cursor 4", "sent to phone: rack1-u01: held for you, SSH is open"}
		if got := b.noted(); !slices.Equal(got, want) {
			t.Errorf("got %q", got)
		}

		// A new process goes on after it.
		b = newBench(t, ledger, config)
		stop = b.run()
		synctest.Wait()
		b.tell(core.RunCompleted, core.Info)
		synctest.Wait()
		stop()

		want = []string{"cursor 5", "sent to phone: rack1-u01: vetting completed"}
		if got := b.noted(); !slices.Equal(got, want) {
			t.Errorf("after a restart: %q", got)
		}
	})
}

// A crash between the cursor and the attempt loses a message and never doubles it.
func TestACrashWhileSendingNeverSendsTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := notify.Config{Targets: []notify.Target{target("phone", 0)}, Routes: []notify.Route{{To: []string{"phone"}}}}
		ledger := coretest.NewLedger()

		b := newBench(t, ledger, config)
		b.courier.SetSender("phone", func(ctx context.Context, _ string) error {
			b.note("begun")
			<-ctx.Done()

			return ctx.Err()
		})

		stop := b.run()
		synctest.Wait()
		b.tell(core.StageFailed, core.Critical)
		synctest.Wait()
		stop() // while it is under way

		if o := b.came()["1 phone"]; o.OK || o.Code != "notify/stopped" {
			t.Errorf("%+v", o)
		}

		b = newBench(t, ledger, config)
		stop = b.run()
		synctest.Wait()
		stop()

		if got := b.noted(); len(got) != 0 {
			t.Errorf("after the restart: %q", got)
		}
	})
}

func TestASlowTargetDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, coretest.NewLedger(), notify.Config{
			Targets: []notify.Target{program("slow"), program("fast")}, Routes: []notify.Route{{To: []string{"slow", "fast"}}},
		})
		b.courier.SetSender("slow", func(ctx context.Context, _ string) error {
			<-ctx.Done()

			return errors.New("use of closed connection") // as libraries do
		})

		stop := b.run()
		synctest.Wait()

		start := time.Now()

		for range 100 {
			b.tell(core.StageFailed, core.Critical)
			synctest.Wait()
		}

		if took := time.Since(start); took != 0 {
			t.Errorf("telling took %v", took)
		}

		if n := len(b.noted()) - 100; n != 100 { // 100 times the cursor
			t.Errorf("%d of 100 reached the fast one", n)
		}

		full := 0

		for _, o := range b.came() {
			if o.Target == "slow" && o.Code == "notify/queue-full" {
				full++
			}
		}

		if full != 100-64 {
			t.Errorf("%d did not find room", full)
		}

		time.Sleep(11 * time.Second) // of the bubble

		timeouts := 0

		for _, o := range b.came() {
			if o.Code == "notify/timeout" && o.Took == 10*time.Second {
				timeouts++
			}
		}

		if timeouts != 4 {
			t.Errorf("%d timed out after ten seconds", timeouts)
		}

		stop()
	})
}

func TestAttempts(t *testing.T) {
	for name, c := range map[string]struct {
		attempts int
		errs     []error
		want     int
		ok       bool
		after    time.Duration
	}{
		"once by default":                   {0, []error{errors.New("x")}, 1, false, 0},
		"again as often as told":            {3, []error{errors.New("x"), errors.New("x"), errors.New("x")}, 3, false, 3 * time.Second},
		"until it arrives":                  {5, []error{errors.New("x"), nil}, 2, true, time.Second},
		"a panic of a library is a failure": {1, nil, 1, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, coretest.NewLedger(), notify.Config{
					Targets: []notify.Target{target("phone", c.attempts)}, Routes: []notify.Route{{To: []string{"phone"}}},
				})

				n := 0
				b.courier.SetSender("phone", func(context.Context, string) error {
					n++

					return c.errs[n-1]
				})

				start := time.Now()

				o, err := b.courier.Test(t.Context(), "phone")
				if err != nil || o.Attempts != c.want || o.OK != c.ok || o.OK != (o.Code == "") || n != c.want {
					t.Errorf("%+v, %v after %d calls", o, err, n)
				}

				if took := time.Since(start); took != c.after {
					t.Errorf("took %v", took)
				}

				if o.Event != 0 || b.ledger.Dump(core.TableDelivery)["00000000000000000000/phone"] == "" {
					t.Errorf("not kept: %v", b.ledger.Dump(core.TableDelivery))
				}
			})
		})
	}
}

func TestRoutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, coretest.NewLedger(), notify.Config{
			Targets: []notify.Target{target("all", 0), target("grave", 0), target("done", 0), target("none", 0)},
			Routes: []notify.Route{
				{To: []string{"all"}},
				{Severities: []core.Severity{core.Critical}, To: []string{"grave", "all"}},
				{Topics: []core.Topic{core.RunCompleted}, Severities: []core.Severity{core.Info}, To: []string{"done"}},
			},
		})

		stop := b.run()
		synctest.Wait()
		b.tell(core.StageFailed, core.Critical)
		b.tell(core.SpecMismatch, core.Warning)
		b.tell(core.RunCompleted, core.Info)
		b.tell(core.RunCompleted, core.Critical)
		synctest.Wait()
		stop()

		var got []string
		for key, o := range b.came() {
			got = append(got, key+" "+string(o.Topic))
		}

		slices.Sort(got)

		want := "1 all StageFailed, 1 grave StageFailed, 2 all SpecMismatch, 3 all RunCompleted, 3 done RunCompleted, 4 all RunCompleted, 4 grave RunCompleted"
		if text := strings.Join(got, ", "); text != want {
			t.Errorf("got %s", text)
		}
	})
}

func TestAWrongConfigurationLeavesTheOldOneInForce(t *testing.T) {
	t.Parallel()

	b := newBench(t, coretest.NewLedger(), notify.Config{Targets: []notify.Target{target("phone", 2)}})

	if err := b.courier.Reload(notify.Config{Targets: []notify.Target{{Name: "bad", Kind: "smoke"}}}); err == nil {
		t.Error("a wrong configuration was taken")
	}

	if got := b.courier.Targets(); len(got) != 1 || got[0] != (notify.TargetInfo{Name: "phone", Kind: notify.Ntfy, Attempts: 2}) {
		t.Errorf("%+v", got)
	}

	if err := b.courier.Reload(notify.Config{}); err != nil || len(b.courier.Targets()) != 0 {
		t.Error(err)
	}

	if _, err := b.courier.Test(t.Context(), "phone"); !errors.Is(err, core.ErrNotFound) {
		t.Error(err)
	}
}
