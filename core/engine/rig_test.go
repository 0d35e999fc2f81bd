package engine_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goccy/go-yaml"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/engine"
	"vetting/core/profile"
	"vetting/core/report"
	"vetting/core/retention"
	"vetting/core/signal"
	"vetting/core/spec"
)

// rig is an engine on a ledger in memory, in a bubble of time. Restart gives it a
// new engine on the same ledger, as after a kill.
type rig struct {
	t      *testing.T
	ledger core.Ledger
	clock  *coretest.Clock
	tick   chan time.Time
	bell   *signal.Bell
	waker  *waker
	log    *bytes.Buffer
	uptime func() time.Duration
	tune   func(*engine.Config)
	settle func() // waits until nothing is under way any more

	*engine.Engine

	stop func()
}

type waker struct {
	mu     sync.Mutex
	orders []core.PowerOrder
	codes  map[core.PowerMethod]string
	state  core.PowerState
}

func (w *waker) Do(_ context.Context, order core.PowerOrder) core.PowerAnswer {
	w.mu.Lock()
	defer w.mu.Unlock()

	w.orders = append(w.orders, order)
	a := core.PowerAttempt{Way: order.Way, Action: string(order.Op)}

	if code := w.codes[order.Way]; code != "" {
		a.Code, a.Detail = code, "it was so"
	}

	return core.PowerAnswer{Attempts: []core.PowerAttempt{a}, State: w.state}
}

// by lists the ways of the orders given, in order.
func (w *waker) by() (ways []core.PowerMethod) {
	w.mu.Lock()
	defer w.mu.Unlock()

	for i := range w.orders {
		ways = append(ways, w.orders[i].Way)
	}

	return ways
}

// breaks lets a way fail with a code; empty: it works.
func (w *waker) breaks(way core.PowerMethod, code string) {
	w.mu.Lock()
	defer w.mu.Unlock()

	w.codes[way] = code
}

func (w *waker) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()

	return len(w.orders)
}

// inRig runs a test in a bubble.
func inRig(t *testing.T, test func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newRig(t, coretest.NewLedger(), nil)) })
}

func newRig(t *testing.T, ledger core.Ledger, tune func(*engine.Config)) *rig {
	t.Helper()

	r := &rig{
		t: t, ledger: ledger, clock: coretest.NewClock(), waker: &waker{codes: map[core.PowerMethod]string{}}, log: &bytes.Buffer{}, tune: tune,
		settle: synctest.Wait,
	}
	r.restart()
	t.Cleanup(func() { r.stop() })

	return r
}

// restart ends the engine, if there is one, and begins anew from the ledger.
func (r *rig) restart() {
	r.t.Helper()

	if r.stop != nil {
		r.stop()
	}

	config := engine.Config{
		Ledger: r.ledger, Clock: r.clock, Rand: rand.Reader, Bell: signal.New(), Profiles: brief(),
		ParseSpec: parseSpec, SeedFile: seedFile, Power: r.waker, WriteSpec: writeSpec, HoldSecret: []byte("a secret of thirty-two bytes, 123"),
		TokenSecret: []byte("a secret of thirty-two bytes, 456"), Uptime: r.uptime,
		Appliance: report.Appliance{ID: "test"}, Retention: retention.Default, Log: slog.New(slog.NewTextHandler(&locked{to: r.log}, nil)),
	}

	r.tick = make(chan time.Time)
	config.Tick = r.tick
	r.bell = config.Bell

	if r.tune != nil {
		r.tune(&config)
	}

	e, err := engine.New(config)
	if err != nil {
		r.t.Fatal(err)
	}

	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)

	go func() { done <- e.Run(ctx) }()

	r.Engine = e
	r.stop = func() {
		cancel()

		if err := <-done; err != nil {
			r.t.Errorf("the engine ended with %v", err)
		}

		r.stop = func() {}
	}

	r.settle()
}

type locked struct {
	mu sync.Mutex
	to *bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()

	return l.to.Write(p)
}

// pass lets time go by in steps of a second at most near the end, with a tick.
func (r *rig) pass(d time.Duration) {
	r.clock.Advance(d)
	r.tick <- r.clock.Now()
	synctest.Wait()
}

func parseSpec(text string) (s spec.Spec, err error) {
	if err := yaml.UnmarshalWithOptions([]byte(text), &s, yaml.Strict()); err != nil {
		return s, core.NewProblem(core.ErrInvalid, "spec/invalid", err.Error())
	}

	return s, s.Validate()
}

func writeSpec(s spec.Spec) (string, error) {
	text, err := yaml.Marshal(s)

	return string(text), err
}

func seedFile(s core.Seed) ([]byte, error) { return json.Marshal(s) }

func addr(n int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}) }

// host registers the n-th host.
func (r *rig) host(n int) core.Host {
	r.t.Helper()

	host, err := r.RegisterHost(r.t.Context(), "op", coretest.Host(n))
	if err != nil {
		r.t.Fatal(err)
	}

	return host
}

// start starts a run on the n-th host and lets the dispatcher look.
func (r *rig) start(n int) core.RunID {
	r.t.Helper()

	run, err := r.StartRun(r.t.Context(), coretest.MAC(n), core.StartRun{Profile: "quick", Who: "op"})
	if err != nil {
		r.t.Fatal(err)
	}

	synctest.Wait()

	return run.ID
}

func (r *rig) run(id core.RunID) core.Run { return get[core.Run](r, core.TableRun, string(id)) }

// withOverlays has a rig's engine know overlays.
func withOverlays(overlays ...core.Overlay) func(*engine.Config) {
	return func(c *engine.Config) {
		c.Overlay = func(name string) (core.Overlay, error) {
			for _, o := range overlays {
				if o.Name == name {
					return o, nil
				}
			}

			return core.Overlay{}, core.NewProblem(core.ErrNotFound, "overlay/unknown", "There is none.")
		}
	}
}

func (r *rig) hostOf(n int) core.Host {
	return get[core.Host](r, core.TableHost, string(coretest.MAC(n)))
}

func get[T any](r *rig, table core.Table, key string) (v T) {
	r.t.Helper()

	if err := r.ledger.View(context.Background(), func(rd core.Reader) error { return rd.Get(table, key, &v) }); err != nil {
		r.t.Fatalf("%s %s: %v", table, key, err)
	}

	return v
}

func (r *rig) events(kind core.EventKind) (found []core.Event) {
	r.t.Helper()

	err := r.ledger.View(context.Background(), func(rd core.Reader) error {
		all, err := rd.Events(0, 0)
		for _, e := range all {
			if e.Kind == kind {
				found = append(found, e)
			}
		}

		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}

	return found
}

// noticed reports whether a notice with the code was left.
func (r *rig) noticed(code string) bool {
	return slices.ContainsFunc(r.events(core.EventNotice), func(e core.Event) bool {
		var n core.Notice

		return json.Unmarshal(e.Data, &n) == nil && n.Code == code
	})
}

// wantState fails the test unless the run is there.
func (r *rig) wantState(id core.RunID, want core.State) core.Run {
	r.t.Helper()

	run := r.run(id)
	if run.State != want {
		r.t.Fatalf("the run is in %s, want %s (findings %v, stages %v)", run.State, want, run.Findings, summary(run.Stages))
	}

	return run
}

func summary(rows []core.Stage) string {
	var b strings.Builder
	for _, s := range rows {
		fmt.Fprintf(&b, "%s:%s:%s ", s.Name, s.Phase, s.Verdict)

		for _, f := range s.Findings {
			fmt.Fprintf(&b, "[%s %s] ", f.Code, f.Evidence)
		}
	}

	return b.String()
}

// codeOf returns the code of a problem, or the text of another error.
func codeOf(err error) string {
	if p, ok := errors.AsType[*core.Problem](err); ok {
		return p.Code
	}

	return fmt.Sprint(err)
}

// machine is a host under test with our agent on it.
type machine struct {
	r        *rig
	n        int
	bootID   string
	identity core.Identity
	run      core.RunID
	token    string // session
	seq      uint64
	inv      core.Inventory
}

func (r *rig) machine(n int) *machine {
	return &machine{r: r, n: n, bootID: "boot-1", identity: coretest.Identity(n), inv: coretest.Inventory(n)}
}

// arm fetches the boot script and the seed.
func (m *machine) arm() (core.Seed, error) {
	var seed core.Seed

	nonce, err := m.r.Arm(context.Background(), coretest.MAC(m.n), addr(m.n))
	if err != nil {
		return seed, err
	}

	raw, err := m.r.Seed(context.Background(), nonce, addr(m.n), false)
	if err != nil {
		return seed, err
	}

	return seed, json.Unmarshal(raw, &seed)
}

func (m *machine) hello(seed core.Seed) (core.HelloReply, error) {
	return m.r.Hello(context.Background(), seed.Run, seed.BootToken, core.Hello{
		Protocol: 1, AgentVersion: "test", MAC: coretest.MAC(m.n), BootID: m.bootID, Firmware: "uefi",
	})
}

func (m *machine) claim(seed core.Seed) (core.ClaimReply, error) {
	reply, err := m.r.Claim(context.Background(), seed.Run, seed.BootToken, core.Claim{BootID: m.bootID, Identity: m.identity})
	if err == nil {
		m.run, m.token = seed.Run, reply.SessionToken
	}

	return reply, err
}

// boot goes from the script to the claim.
func (m *machine) boot() core.ClaimReply {
	m.r.t.Helper()

	seed, err := m.arm()
	if err != nil {
		m.r.t.Fatal(err)
	}

	if _, err := m.hello(seed); err != nil {
		m.r.t.Fatal(err)
	}

	reply, err := m.claim(seed)
	if err != nil {
		m.r.t.Fatal(err)
	}

	return reply
}

func (m *machine) beat(stage core.StageName) (core.Order, error) {
	return m.r.Heartbeat(context.Background(), m.run, m.token, core.Beat{Stage: stage, Progress: 0.5})
}

// passing is the result of a stage on a good machine.
func (m *machine) passing(stage core.StageName) core.Result {
	m.seq++
	res := core.Result{Seq: m.seq, Stage: stage, Verdict: core.Pass, Coverage: "all of it"}

	switch stage {
	case core.InventoryCheck:
		res.Inventory = &m.inv
	case core.Firmware:
		res.Firmware = []core.FirmwareItem{{Name: "BIOS", Version: "1.2.3"}}
	case core.SMART:
		res.SubSteps = []core.SubStep{{Name: "sda", Verdict: core.Pass, Progress: 1}}
	}

	return res
}

func (m *machine) send(res core.Result) (core.State, error) {
	return m.r.Result(context.Background(), m.run, m.token, res)
}

// finish sends good results until the run leaves the stages.
func (m *machine) finish(state core.State) core.State {
	m.r.t.Helper()

	for slices.Contains(core.Pipeline(), core.StageName(state)) {
		next, err := m.send(m.passing(core.StageName(state)))
		if err != nil {
			m.r.t.Fatal(err)
		}

		state = next
	}

	return state
}

// brief are the profiles with four stages only: what the engine does with stages
// does not depend on how many there are.
func brief() []core.Profile {
	all := profile.Defaults()
	for i := range all {
		all[i].Stages = []core.StageName{core.InventoryCheck, core.Firmware, core.SpecValidate, core.SMART, core.Reporting}
	}

	return all
}
