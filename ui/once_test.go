package ui_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/ui"
	"vetting/ui/canned"
)

// clerk registers hosts in a ledger as the engine does: the host and the entry about it in
// one write.
type clerk struct {
	*canned.Commands

	ledger core.Ledger
	did    atomic.Int32
}

func (c *clerk) RegisterHost(ctx context.Context, who string, host core.Host) (core.Host, error) {
	_, err := c.ledger.Update(ctx, func(txn core.Txn) error {
		var there core.Host
		if txn.Get(core.TableHost, string(host.MAC), &there) == nil {
			return core.NewProblem(core.ErrConflict, "host/taken", "There is such a host.")
		}

		c.did.Add(1)

		return errors.Join(txn.Put(core.TableHost, string(host.MAC), host),
			core.WriteAudit(txn, core.Audit{Time: canned.Now(), Who: who, Action: "host.register", Object: "host", Host: host.MAC, Text: "registered"}))
	})

	return host, err
}

// mortal is a ledger of an appliance that is killed: of its updates only so many are
// written from now on.
type mortal struct {
	core.Ledger

	left atomic.Int32
}

var errDead = errors.New("killed")

func (m *mortal) Update(ctx context.Context, change func(core.Txn) error) (uint64, error) {
	return m.Ledger.Update(ctx, func(txn core.Txn) error {
		if err := change(txn); err != nil {
			return err
		}

		if m.left.Add(-1) < 0 {
			return errDead
		}

		return nil
	})
}

// office is a console that registers hosts, over a ledger that outlives it.
func office(t *testing.T, ledger *coretest.Ledger) (b *bench, c *clerk, m *mortal) {
	t.Helper()

	m = &mortal{Ledger: ledger}
	m.left.Store(1 << 30)
	c = &clerk{ledger: m}

	b = open(t, canned.Empty, func(cfg *ui.Config) {
		random(cfg)

		c.Commands, _ = cfg.Commands.(*canned.Commands)
		cfg.Ledger, cfg.Commands = m, c
	})

	return b, c, m
}

const (
	oneHost   = `{"mac":"52:54:00:00:00:77","name":"u07"}`
	otherHost = `{"mac":"52:54:00:00:00:78","name":"u08"}`
)

func TestAnOrderWithAKeyIsCarriedOutOnce(t *testing.T) {
	t.Parallel()

	ledger := coretest.NewLedger()
	b, c, _ := office(t, ledger)
	auth := "Bearer " + b.token("operate")

	post := func(b *bench, body, key string) answer {
		return b.ask("POST", "/api/v1/hosts", body, "Authorization", auth, "Idempotency-Key", key)
	}

	first := post(b, oneHost, "k-1")
	if first.status != http.StatusCreated || first.header.Get("Idempotency-Replayed") != "" {
		t.Fatalf("%d %s", first.status, first.body)
	}

	reopened, d, _ := office(t, ledger) // after a restart
	for name, b := range map[string]*bench{"at once": b, "after a restart": reopened} {
		again := post(b, oneHost, "k-1")
		if again.status != first.status || again.body != first.body || again.header.Get("Idempotency-Replayed") != "true" ||
			again.header.Get("Vetting-Activity") != first.header.Get("Vetting-Activity") || first.header.Get("Vetting-Activity") == "" {
			t.Errorf("%s: %d %s %v", name, again.status, again.body, again.header)
		}

		if other := post(b, otherHost, "k-1"); other.status != http.StatusUnprocessableEntity || !strings.Contains(other.body, "request/key-reused") {
			t.Errorf("%s, another body: %d %s", name, other.status, other.body)
		}
	}

	if n := c.did.Load() + d.did.Load(); n != 1 {
		t.Errorf("%d hosts were registered", n)
	}

	// Of somebody else it is another key, also where both have one name.
	if res := b.ask("POST", "/api/v1/hosts", otherHost, "Authorization", "Bearer "+b.token("operate"), "Idempotency-Key", "k-1"); res.status != http.StatusCreated || res.header.Get("Idempotency-Replayed") != "" {
		t.Errorf("the key of another token of this name: %d %s", res.status, res.body)
	}

	// What was refused and changed nothing may be tried again.
	if res := post(b, oneHost, "k-3"); res.status != http.StatusConflict || post(b, oneHost, "k-3").header.Get("Idempotency-Replayed") != "" {
		t.Errorf("a refusal: %d %s", res.status, res.body)
	}

	if res := post(b, oneHost, strings.Repeat("k", 256)); res.status < 400 || !strings.Contains(res.body, "255") {
		t.Errorf("a key that is too long: %d %s", res.status, res.body)
	}
}

func TestAnOrderThatACrashCutShortIsNotCarriedOutTwice(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct{ writes, before int32 }{
		"killed before the order was written": {0, 0},
		"killed before its answer was":        {1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			ledger := coretest.NewLedger()
			b, c, m := office(t, ledger)
			header := []string{"Authorization", "Bearer " + b.token("operate"), "Idempotency-Key", "k-1"}

			b.ask("GET", "/api/v1/hosts", "", header...) // that the token is used is a write of its own
			m.left.Store(tc.writes)
			b.ask("POST", "/api/v1/hosts", oneHost, header...) // whoever asked hears nothing

			if n := len(ledger.Dump(core.TableHost)); n != int(tc.before) {
				t.Fatalf("%d hosts were written", n)
			}

			reopened, d, _ := office(t, ledger)

			again := reopened.ask("POST", "/api/v1/hosts", oneHost, header...)
			if again.status != http.StatusCreated || !strings.Contains(again.body, `"52:54:00:00:00:77"`) {
				t.Errorf("%d %s", again.status, again.body)
			}

			if n := int32(len(ledger.Dump(core.TableHost))); n != 1 || d.did.Load() != 1-tc.before || c.did.Load() < tc.before {
				t.Errorf("%d hosts, registered %d times after the crash", n, d.did.Load())
			}
		})
	}
}

func TestAnAnswerWithASecretIsNotKept(t *testing.T) {
	t.Parallel()

	ledger := coretest.NewLedger()
	b, _, _ := office(t, ledger)
	header := []string{"Authorization", "Bearer " + b.token("admin"), "Idempotency-Key", "k-1"}

	first := b.ask("POST", "/api/v1/tokens", `{"name":"ci","scope":"read"}`, header...)
	if first.status != http.StatusCreated || !strings.Contains(first.body, "vet_") {
		t.Fatalf("%d %s", first.status, first.body)
	}

	again := b.ask("POST", "/api/v1/tokens", `{"name":"ci","scope":"read"}`, header...)
	if again.status != http.StatusConflict || !strings.Contains(again.body, "request/answer-lost") {
		t.Errorf("%d %s", again.status, again.body)
	}

	for _, kept := range ledger.Dump(core.TableOnce) {
		if strings.Contains(kept, `"body"`) {
			t.Errorf("the ledger holds the answer: %s", kept)
		}
	}
}

func TestOrdersWithKeysAreForgotten(t *testing.T) {
	t.Parallel()

	ledger := coretest.NewLedger()
	b, _, _ := office(t, ledger)

	if _, err := ledger.Update(t.Context(), func(txn core.Txn) (err error) {
		for i := range 1200 {
			err = errors.Join(err, txn.Put(core.TableOnce, fmt.Sprintf("young-%04d", i), core.CarriedOut{Time: canned.Now().Add(-time.Duration(i) * time.Second)}))
		}

		return errors.Join(err, txn.Put(core.TableOnce, "old", core.CarriedOut{Time: canned.Now().Add(-25 * time.Hour)}))
	}); err != nil {
		t.Fatal(err)
	}

	b.ask("POST", "/api/v1/hosts", oneHost, "Authorization", "Bearer "+b.token("operate"), "Idempotency-Key", "k-1")

	kept := ledger.Dump(core.TableOnce)
	if len(kept) != 1000 || kept["old"] != "" || kept["young-1199"] != "" || kept["young-0000"] == "" {
		t.Errorf("%d are remembered", len(kept))
	}
}
