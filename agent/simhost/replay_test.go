package simhost_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"vetting/agent/simhost"
	"vetting/agent/stage"
	"vetting/agent/wire"
	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/report"
)

const replaysVar = "VETTING_REPLAYS" // runs under replay; 3 without it

// call is a request as it came.
type call struct {
	method, target, auth, remote string
	body                         []byte
}

func (c *call) name() string { return c.target[strings.LastIndex(c.target, "/")+1:] }

// send gives the request to the gate once more.
func (c *call) send(gate http.Handler) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(context.Background(), c.method, c.target, bytes.NewReader(c.body))
	r.Header.Set("Authorization", c.auth)
	r.Header.Set("Content-Type", "application/json")
	r.RemoteAddr = c.remote
	gate.ServeHTTP(w, r)

	return w
}

// tape is laid around the gate: it remembers every request, and, while there is
// chance, sends each one twice, and older ones again before and after it.
type tape struct {
	inner http.Handler

	mu     sync.Mutex // guards the rest
	chance *rand.Rand // nil: it only listens
	calls  []call
	taken  int // replays that were answered with 200
}

func (p *tape) around(inner http.Handler) http.Handler {
	p.inner = inner

	return http.HandlerFunc(p.hear)
}

func (p *tape) hear(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}

	c := call{r.Method, r.URL.String(), r.Header.Get("Authorization"), r.RemoteAddr, body}

	p.replay()

	answer := c.send(p.inner)
	if p.again() {
		answer = c.send(p.inner)
	}

	p.replay()
	p.remember(c)

	for key, values := range answer.Header() {
		w.Header()[key] = values
	}

	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

func (p *tape) remember(c call) {
	p.mu.Lock()
	defer p.mu.Unlock()

	p.calls = append(p.calls, c)
}

func (p *tape) again() bool {
	p.mu.Lock()
	defer p.mu.Unlock()

	return p.chance != nil && p.chance.IntN(2) == 0
}

// replay sends a few of the requests that there were.
func (p *tape) replay() {
	for _, c := range p.draw() {
		if c.send(p.inner).Code != http.StatusOK {
			continue
		}

		p.mu.Lock()
		p.taken++
		p.mu.Unlock()
	}
}

func (p *tape) draw() (some []call) {
	p.mu.Lock()
	defer p.mu.Unlock()

	if p.chance == nil {
		return nil
	}

	for range min(p.chance.IntN(3), len(p.calls)) {
		some = append(some, p.calls[p.chance.IntN(len(p.calls))])
	}

	return some
}

func (p *tape) all() []call {
	p.mu.Lock()
	defer p.mu.Unlock()

	return slices.Clone(p.calls)
}

// ending is where a run has come to, without what times and tokens make of it.
type ending struct {
	State, Verdict, Reported string
	Epoch                    int
	Quarantine               string
	Stages, Findings         []string
	Inventory                core.Inventory
	Samples, Lines           []string
}

func (s *site) ending(id core.RunID) ending {
	run := record[core.Run](s, core.TableRun, string(id))
	e := ending{
		State: string(run.State), Verdict: string(run.Verdict), Epoch: run.Epoch,
		Reported:   string(record[report.Report](s, core.TableReport, string(id)).Verdict.Kind),
		Quarantine: record[core.Host](s, core.TableHost, string(run.Host)).Quarantine,
		Inventory:  record[core.Inventory](s, core.TableInventory, string(id)),
	}

	for _, st := range run.Stages {
		line := fmt.Sprintf("%s %s try %d: %s", st.Name, st.Verdict, st.Attempt, st.Coverage)
		for _, v := range st.Evaluations {
			line += fmt.Sprintf("; %s %s %s %v", v.Rule, v.Key, v.Verdict, v.Value)
		}

		e.Stages = append(e.Stages, line)

		for _, f := range st.Findings {
			e.Findings = append(e.Findings, f.Code+" "+f.Evidence)
		}
	}

	s.batches(id, func(b *core.SampleBatch) {
		for _, x := range b.Samples {
			e.Samples = append(e.Samples, fmt.Sprintf("%s %v, of %s, try %d", x.Key, x.Value, b.Stage, b.Attempt))
		}
	})

	for _, l := range s.Book.Lines() {
		if !strings.Contains(l.Text, "the run is ours") && l.Stage != "" { // what the stages said
			e.Lines = append(e.Lines, fmt.Sprintf("%s %s", l.Stage, l.Text))
		}
	}

	slices.Sort(e.Samples)

	return e
}

func (s *site) batches(id core.RunID, see func(*core.SampleBatch)) {
	s.t.Helper()

	err := s.ledger.View(s.t.Context(), func(r core.Reader) error {
		return r.Scan(core.TableSamples, core.Query{Prefix: string(id) + "/"}, func(_ string, decode func(any) error) error {
			var batch core.SampleBatch
			err := decode(&batch)
			see(&batch)

			return err
		})
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// faulty is a host whose SMART fails at first, and passes when it is run again.
func faulty(n int) map[core.StageName]simhost.Play {
	script := simhost.Healthy(coretest.Inventory(n))
	good, tries := script[core.SMART], 0

	return simhost.With(script, core.SMART, simhost.Play{Do: func(ctx context.Context, env stage.Env) core.Result {
		tries++

		for i := range 40 {
			env.Sensor(core.Sample{Time: time.Now(), Key: "disk/sda/temperature_celsius", Value: float64(30 + i%9)})
			env.Log.Info(fmt.Sprintf("try %d, second %d", tries, i))
			time.Sleep(time.Second)
		}

		res := good.Result
		if tries == 1 {
			res.Verdict, res.Coverage = core.Fail, "0 of 1 disks"
			res.Findings = []core.Finding{{Code: "smart/self-test", Severity: core.Critical, Title: "the self-test failed", Evidence: "in the test"}}
		}

		return res
	}})
}

// playThrough has the host vetted, with the failed stage run again, and returns how
// it ended.
func (s *site) playThrough() (core.RunID, ending) {
	s.t.Helper()

	id := s.start(1)
	h := s.boot(1, "boot-1")
	h.Script = faulty(1)
	p := s.run(h)

	for record[core.Run](s, core.TableRun, string(id)).State != core.StateFailedHolding {
		time.Sleep(time.Second)
	}

	time.Sleep(20 * time.Second) // the hold is opened

	if _, err := s.engine.RetryStage(s.t.Context(), "op", id); err != nil {
		s.t.Fatal(err)
	}

	if err := s.end(p); err != nil || !h.PoweredOff() {
		s.t.Errorf("Run() = %v, powered off %v", err, h.PoweredOff())
	}

	return id, s.ending(id)
}

// undisturbed is how the run ends by itself, and what was said meanwhile.
func undisturbed(t *testing.T) (want ending, calls []call) {
	t.Helper()

	onTape(t, &tape{}, func(_ *testing.T, s *site, p *tape) { _, want = s.playThrough(); calls = p.all() })

	if want.State != string(core.StateCompleted) || want.Verdict != "pass" || len(want.Samples) < 80 || len(want.Lines) < 80 || len(calls) < 40 {
		t.Fatalf("by itself: %d calls, %+v", len(calls), want)
	}

	return want, calls
}

func onTape(t *testing.T, p *tape, scenario func(t *testing.T, s *site, p *tape)) {
	t.Helper()

	onSite(t, func(t *testing.T, s *site) {
		s.Kill(t)
		s.Around = p.around
		s.Start(t)
		scenario(t, s, p)
	})
}

func replays(t *testing.T) uint64 {
	t.Helper()

	if text := os.Getenv(replaysVar); text != "" {
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			t.Fatal(err)
		}

		return n
	}

	return 3
}

// reliability.md §5: "replay every recorded request x2 and shuffled; final state
// equal". Here they come while the run goes on: each may come twice, and any one
// again at any later moment.
func TestReplayedRequestsChangeNothingWhileTheRunGoesOn(t *testing.T) {
	want, _ := undisturbed(t)

	for seed := range replays(t) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			onTape(t, &tape{chance: rand.New(rand.NewPCG(seed, 22))}, func(t *testing.T, s *site, p *tape) {
				_, got := s.playThrough()
				if diff := gocmp.Diff(want, got); diff != "" {
					t.Error(diff)
				}

				if p.taken < 20 {
					t.Errorf("only %d replays were taken: the test proves nothing", p.taken)
				}
			})
		})
	}
}

// And when it is over: each twice, in any order.
func TestReplayedRequestsChangeNothingWhenTheRunIsOver(t *testing.T) {
	onTape(t, &tape{}, func(t *testing.T, s *site, p *tape) {
		id, want := s.playThrough()
		before := s.records(id)

		for seed := range replays(t) {
			calls := slices.Concat(p.all(), p.all())
			rand.New(rand.NewPCG(seed, 23)).Shuffle(len(calls), func(i, j int) { calls[i], calls[j] = calls[j], calls[i] })

			for _, c := range calls {
				if w := c.send(p.inner); w.Code >= http.StatusInternalServerError {
					t.Errorf("%s: %d %s", c.name(), w.Code, w.Body)
				}

				time.Sleep(100 * time.Millisecond) // not to be too fast
			}

			if diff := gocmp.Diff(want, s.ending(id)); diff != "" {
				t.Error(diff)
			}

			if diff := gocmp.Diff(before, s.records(id)); diff != "" {
				t.Error(diff)
			}
		}
	})
}

// records are those of a run, word by word, but for when it was last written.
func (s *site) records(id core.RunID) map[string]string {
	s.t.Helper()

	all := map[string]string{}

	for _, table := range []core.Table{
		core.TableRun, core.TableInventory, core.TableSamples, core.TableTrail, core.TableReply, core.TableReport, core.TableArtifact, core.TableFigure,
	} {
		err := s.ledger.View(s.t.Context(), func(r core.Reader) error {
			return r.Scan(table, core.Query{Prefix: string(id)}, func(key string, decode func(any) error) error {
				var fields map[string]any

				if table == core.TableTrail || table == core.TableReply {
					var raw json.RawMessage
					err := decode(&raw)
					all[string(table)+"/"+key] = string(raw)

					return err
				}

				if err := decode(&fields); err != nil {
					return err
				}

				delete(fields, "updated_at")
				all[string(table)+"/"+key] = fmt.Sprint(fields)

				return nil
			})
		})
		if err != nil {
			s.t.Fatal(err)
		}
	}

	return all
}

// A fresh appliance is told the same by a network that mixes up whatever was said
// without waiting for an answer, repeats it, and repeats older things with it.
func TestShuffledRequestsLeadToTheSameEnd(t *testing.T) {
	var (
		want  ending
		calls []call
	)

	happy := func(s *site) (core.RunID, ending) {
		id := s.start(1)
		h := s.boot(1, "boot-1")

		if err := s.end(s.run(h)); err != nil {
			t.Error(err)
		}

		return id, s.ending(id)
	}

	onTape(t, &tape{}, func(_ *testing.T, s *site, p *tape) { _, want = happy(s); calls = p.all() })

	for seed := range replays(t) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			onTape(t, &tape{}, func(t *testing.T, s *site, p *tape) {
				id := s.start(1)
				h := s.boot(1, "boot-1")
				m := &mixer{gate: p.inner, chance: rand.New(rand.NewPCG(seed, 24)), seed: h.Seed}

				for _, part := range parts(calls) {
					m.say(t, part)
				}

				got := s.ending(id)
				slices.Sort(want.Lines) // lines are kept in the order in which they come
				slices.Sort(got.Lines)

				if diff := gocmp.Diff(want, got); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// parts cuts what was said behind each call whose answer the agent waits for.
func parts(calls []call) (all [][]call) {
	begin := 0

	for i := range calls {
		if slices.Contains([]string{"hello", "claim", "result"}, calls[i].name()) || i == len(calls)-1 {
			all = append(all, calls[begin:i+1])
			begin = i + 1
		}
	}

	return all
}

// mixer says to a fresh run what was said in another.
type mixer struct {
	gate    http.Handler
	chance  *rand.Rand
	seed    wire.Seed
	session string
	old     []call
}

// say sends everything of a part until all was taken, the last one last.
func (m *mixer) say(t *testing.T, part []call) {
	t.Helper()

	last := part[len(part)-1]
	open := slices.Clone(part[:len(part)-1])

	for range 50 {
		again := slices.Concat(open, open, m.some())
		m.chance.Shuffle(len(again), func(i, j int) { again[i], again[j] = again[j], again[i] })

		open = nil

		for _, c := range again {
			if !m.send(&c) && !slices.ContainsFunc(m.old, c.same) && !slices.ContainsFunc(open, c.same) {
				open = append(open, c)
			}
		}

		if len(open) == 0 {
			break
		}
	}

	if len(open) > 0 || !m.send(&last) {
		t.Fatalf("%d calls before %s were never taken, or it was not", len(open), last.name())
	}

	m.send(&last)
	m.old = append(m.old, part...)
}

func (c *call) same(o call) bool { return c.target == o.target && bytes.Equal(c.body, o.body) }

// some draws from what was said before.
func (m *mixer) some() (some []call) {
	for range min(5, len(m.old)) {
		some = append(some, m.old[m.chance.IntN(len(m.old))])
	}

	return some
}

// send says it in the fresh run, and reports whether it was taken.
func (m *mixer) send(c *call) bool {
	time.Sleep(100 * time.Millisecond) // not to be too fast

	words := strings.Split(c.target, "/")
	words[slices.Index(words, "runs")+1] = m.seed.Run
	mine := call{c.method, strings.Join(words, "/"), "Bearer " + m.session, c.remote, c.body}

	if n := c.name(); n == "hello" || n == "claim" {
		mine.auth = "Bearer " + m.seed.BootToken
	}

	w := mine.send(m.gate)

	var reply wire.ClaimReply
	if c.name() == "claim" && w.Code == http.StatusOK && json.Unmarshal(w.Body.Bytes(), &reply) == nil {
		m.session = cmp.Or(m.session, reply.SessionToken)
	}

	return w.Code == http.StatusOK
}
