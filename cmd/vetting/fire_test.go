package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"vetting/agent/simhost"
	agentstage "vetting/agent/stage"
	"vetting/agent/wire"
	"vetting/cmd/client"
	"vetting/core"
	"vetting/core/route"
	"vetting/initramfs"
	"vetting/store"
	"vetting/store/runlog"
)

const (
	underFireName = "vetting-under-fire"      // the process that is killed: this test binary, called so
	killsVar      = "VETTING_APPLIANCE_KILLS" // how often it is killed in all; a few times without it
	killsAtMost   = 50                        // under one set of runs
	guests        = 20                        // runs at a time
	tokenFile     = "operator.token"          // in its data directory, of whoever operates it
)

// underFire is a whole appliance before machines on loopback. Its arguments are the
// data directory and the addresses of console, agent API and boot services.
func underFire() {
	if err := fire(context.Background(), os.Args[1], os.Args[2], os.Args[3], os.Args[4]); err != nil {
		fmt.Fprintln(os.Stderr, "under fire:", err)
		os.Exit(1)
	}
}

func fire(ctx context.Context, dir, console, agents, boots string) error {
	config := Defaults()
	config.DataDir, config.Console.Listen, config.Dispatcher.MaxConcurrentRuns = dir, console, guests
	config.Run.BootDeadline, config.Run.Heartbeat = Duration(30*time.Second),
		HeartbeatConfig{Interval: Duration(time.Second), Stale: Duration(20 * time.Second), Lost: Duration(30 * time.Second)}

	a, err := newAppliance(config, nil, &initramfs.Image{ID: "none"}, io.Discard, os.Stderr)
	if err != nil {
		return err
	}

	if err := a.open(ctx, a.openStore, a.openIdentity, a.openEngine, a.openUpkeep, a.openConsole); err != nil {
		return err
	}

	if err := letIn(ctx, a); err != nil {
		return err
	}

	cast := simhost.Cast(2 * guests)
	nth := func(n int) core.MAC { return cast[n-1].MAC }

	var listeners [2]net.Listener

	for i, address := range []string{agents, boots} {
		if listeners[i], err = (&net.ListenConfig{}).Listen(ctx, "tcp4", address); err != nil {
			return err
		}
	}

	return a.together(ctx, append(a.common(),
		component{"gate", func(ctx context.Context) error { return a.answerAgents(ctx, listeners[0]) }},
		component{"boot", func(ctx context.Context) error { return bootServer(a, nth).Serve(ctx, listeners[1]) }}))
}

// letIn makes the operator's token at the first start.
func letIn(ctx context.Context, a *appliance) error {
	path := filepath.Join(a.config.DataDir, tokenFile)
	if _, err := os.Stat(path); err == nil {
		return nil
	}

	token, err := a.ui.CreateToken(ctx, "op", "operate")

	return errors.Join(err, os.WriteFile(path+".new", []byte(token), 0o600), os.Rename(path+".new", path))
}

// front is the battle: an appliance that dies again and again, machines that are
// vetted by it all the same, a person for each of them, and an ear between machines
// and appliance that remembers what was acknowledged.
type front struct {
	t      *testing.T
	dir    string
	at     [3]string // console, agent API, boot services
	ear    *ear
	log    *os.File
	child  *exec.Cmd
	ended  chan struct{} // closed when it has
	people *client.Client
	over   chan struct{} // closed after the last kill
	chance *rand.Rand
}

// up starts the appliance.
func (f *front) up() {
	f.t.Helper()

	f.child = &exec.Cmd{
		Path: "/proc/self/exe", Args: append([]string{underFireName, f.dir}, f.at[:]...), Stderr: f.log,
		SysProcAttr: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL},
	}
	if err := f.child.Start(); err != nil {
		f.t.Fatal(err)
	}

	child, ended := f.child, make(chan struct{})

	go func() {
		_ = child.Wait()
		close(ended)
	}()

	f.ended = ended
}

// kill ends the appliance at once. One that has ended by itself is a defect.
func (f *front) kill() {
	f.t.Helper()

	_ = f.child.Process.Signal(syscall.SIGKILL)
	<-f.ended

	if status, _ := f.child.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGKILL {
		said, _ := os.ReadFile(f.log.Name())
		f.t.Fatalf("the appliance ended by itself, %s:\n%s", f.child.ProcessState, said[max(0, len(said)-4000):])
	}
}

// ready waits until all of it answers.
func (f *front) ready() {
	f.t.Helper()

	every := time.NewTicker(5 * time.Millisecond)
	defer every.Stop()

	for _, address := range f.at {
		for {
			conn, err := (&net.Dialer{}).DialContext(f.t.Context(), "tcp4", address)
			if err == nil {
				_ = conn.Close()

				break
			}

			select {
			case <-every.C:
			case <-f.ended:
				f.kill() // says why
			}
		}
	}
}

// fight kills the appliance at random moments: mostly while it works, now and then
// while it comes up.
func (f *front) fight(kills int) {
	f.t.Helper()

	for n := range kills {
		if n%4 == 3 {
			time.Sleep(time.Duration(f.chance.Int64N(int64(600 * time.Millisecond))))
		} else {
			f.ready()
			time.Sleep(time.Duration(f.chance.Int64N(int64(1500 * time.Millisecond))))
		}

		f.kill()
		f.up()
	}

	close(f.over)
}

// ear is a proxy before the agent API with the appliance's own key, which remembers
// what the appliance said 200 to.
type ear struct {
	to     string
	client *http.Client

	mu     sync.Mutex // guards the rest
	epochs map[string]int
	acks   []ack
}

// ack is a call that was answered with 200.
type ack struct {
	run, call, token string
	body             []byte
}

func (e *ear) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}

	ask, err := http.NewRequestWithContext(r.Context(), r.Method, e.to+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		panic(http.ErrAbortHandler)
	}

	ask.Header = r.Header

	answer, err := e.client.Do(ask)
	if err != nil {
		panic(http.ErrAbortHandler) // the appliance is gone, and so is the line
	}
	defer answer.Body.Close()

	text, err := io.ReadAll(answer.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}

	if answer.StatusCode == http.StatusOK {
		e.note(r, body, text)
	}

	for key, values := range answer.Header {
		w.Header()[key] = values
	}

	w.WriteHeader(answer.StatusCode)
	_, _ = w.Write(text)
}

func (e *ear) note(r *http.Request, body, answer []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()

	words := strings.Split(strings.TrimPrefix(r.URL.Path, "/api/v1/runs/"), "/")
	if len(words) != 2 {
		return
	}

	if words[1] == "claim" {
		var reply wire.ClaimReply
		if json.Unmarshal(answer, &reply) == nil {
			e.epochs["Bearer "+reply.SessionToken] = reply.Epoch
		}
	}

	e.acks = append(e.acks, ack{run: words[0], call: words[1], token: r.Header.Get("Authorization"), body: body})
}

// guest is a machine, its person and its run.
type guest struct {
	*front
	*simhost.Character

	n     int // it has the address 127.0.0.n
	run   string
	asked map[core.StageName]int // tries that its person asked for, besides the first
	last  route.Run              // as it was when it failed or ended

	mu    sync.Mutex
	began map[core.StageName]int // guarded by mu: how often the machine began a stage
}

// want is how the run of a character ends.
func (g *guest) want() (core.State, core.Verdict) {
	kind, _, _ := strings.Cut(g.Name, "-"+strconv.Itoa(g.n-1))

	switch kind {
	case "healthy", "chatty", "impostor", "resets": // the impostor is one from its second run on
		return core.StateCompleted, core.Pass
	case "misses-dimm", "bad-disk", "hot":
		return core.StateReleased, core.Fail
	case "silent", "liar":
		return core.StateReleased, core.Error
	case "hangs":
		return core.StateCancelled, core.Cancelled
	default:
		g.t.Fatalf("nobody knows how %s ends", g.Name)

		return "", ""
	}
}

// cast chooses the guests. Those that end by their silence alone take half a minute
// for it, which a small campaign spares itself.
func (f *front) cast(small bool) (all []*guest) {
	pace := 0.6
	if small {
		pace = 0.12
	}

	for i, c := range simhost.Cast(2 * guests) {
		if len(all) == guests {
			break
		}

		if small && (c.Temper == simhost.Silent || c.Temper == simhost.Liar) {
			continue
		}

		g := &guest{front: f, Character: c, n: i + 1, asked: map[core.StageName]int{}, began: map[core.StageName]int{}}
		c.Outage = time.Duration(12 * pace * float64(time.Second))
		c.Script = g.counted(c.Script, pace)

		if strings.HasPrefix(c.Name, "hot-") { // which takes its time to get hot
			c.Script = g.counted(simhost.Cast(i + 1)[i].Script, 1)
		}

		all = append(all, g)
	}

	return all
}

// counted is a script at another pace that counts what is begun.
func (g *guest) counted(script map[core.StageName]simhost.Play, pace float64) map[core.StageName]simhost.Play {
	counted := map[core.StageName]simhost.Play{}

	for name, play := range script {
		if play.Takes < time.Hour {
			play.Takes = time.Duration(float64(play.Takes) * pace)
		}

		counted[name] = simhost.Play{Do: func(ctx context.Context, env agentstage.Env) core.Result {
			g.mu.Lock()
			g.began[name]++
			g.mu.Unlock()

			return play.Perform(ctx, env)
		}}
	}

	return counted
}

// live is the machine: it boots by its script and seed, whenever it gets them.
func (g *guest) live(ctx context.Context, proxy string) {
	_ = g.Live(ctx, g.t.TempDir(), func(ctx context.Context, done core.RunID) (seed wire.Seed, err error) {
		if done != "" {
			<-ctx.Done() // one run is enough
		}

		for ctx.Err() == nil {
			time.Sleep(200 * time.Millisecond)

			_, script, err := bootGet(ctx, g.n, "http://"+g.at[2]+"/ipxe/"+string(g.MAC))
			if nonce := seedIn(script); err == nil && nonce != "" {
				status, archive, err := bootGet(ctx, g.n, "http://"+g.at[2]+"/seed/"+nonce+".cpio")
				if err != nil || status != http.StatusOK {
					continue
				}

				text := archive[strings.IndexByte(archive, '{') : strings.LastIndexByte(archive, '}')+1]
				err = json.Unmarshal([]byte(text), &seed)
				seed.Server = proxy

				return seed, err
			}
		}

		return seed, ctx.Err()
	})
}

// call makes a call of the operator API until it is answered, and returns the
// refusal, if it is one.
func (g *guest) call(ctx context.Context, ask client.Request, out any) *client.Fault {
	for ctx.Err() == nil {
		err := g.people.Call(ctx, ask, out)
		if err == nil {
			return nil
		}

		if fault, ok := errors.AsType[*client.Fault](err); ok && fault.Status < 500 {
			return fault
		}

		time.Sleep(50 * time.Millisecond)
	}

	return nil
}

// attend is the person: it registers the machine, starts its run and sees to it
// until it is over.
func (g *guest) attend(ctx context.Context) {
	mac := []string{string(g.MAC)}

	// A conflict says that it was done, and the answer was lost.
	create := client.Request{Route: "hosts.create", Body: route.HostCreate{MAC: mac[0], Name: g.Name, SpecYAML: g.Spec}}
	if fault := g.call(ctx, create, nil); fault != nil && fault.Status != http.StatusConflict {
		g.t.Errorf("%s: %v", g.Name, fault)
	}

	start := client.Request{Route: "hosts.start", Params: mac, Body: route.RunStart{Profile: "quick"}}
	if fault := g.call(ctx, start, nil); fault != nil && fault.Status != http.StatusConflict {
		g.t.Errorf("%s: %v", g.Name, fault)
	}

	var host core.Host
	if fault := g.call(ctx, client.Request{Route: "hosts.get", Params: mac}, &host); fault != nil || host.CurrentRun == "" {
		g.t.Errorf("%s has no run: %v", g.Name, fault)

		return
	}

	g.run = string(host.CurrentRun)

	for ctx.Err() == nil && !g.last.State.Over() {
		time.Sleep(200 * time.Millisecond)
		g.see(ctx)
	}
}

// see looks at the run and does what there is to do. What is refused was done.
func (g *guest) see(ctx context.Context) {
	var run route.Run
	if fault := g.call(ctx, client.Request{Route: "runs.get", Params: []string{g.run}}, &run); fault != nil {
		g.t.Errorf("%s: %v", g.Name, fault)

		return
	}

	g.last = run
	state, _ := g.want()

	order := ""

	switch {
	case run.State == core.StateFailedHolding && state == core.StateReleased:
		order = "runs.release"
	case run.State == core.StateFailedHolding && len(g.asked) == 0:
		order = "runs.retry"
		defer func() { g.asked[failedStage(run)]++ }()
	case run.State == core.State(core.SMART) && state == core.StateCancelled:
		select {
		case <-g.over:
			order = "runs.cancel"
		default:
		}
	}

	if order == "" {
		return
	}

	if fault := g.call(ctx, client.Request{Route: order, Params: []string{g.run}}, nil); fault != nil && fault.Status != http.StatusConflict {
		g.t.Errorf("%s: %s: %v", g.Name, order, fault)
	}
}

// failedStage is the one that a retry runs again.
func failedStage(run route.Run) core.StageName {
	for _, row := range run.Stages {
		if row.Phase == core.Done && (row.Verdict == core.Fail || row.Verdict == core.Error) {
			return row.Name
		}
	}

	return run.Stage
}

// SIGKILL of the appliance at random moments, with twenty machines that are vetted:
// each run ends as its script says, no stage runs twice unless somebody asked for it,
// and all that was acknowledged is there.
func TestAnApplianceUnderFireLosesNothing(t *testing.T) {
	kills := 5
	if text := os.Getenv(killsVar); text != "" {
		var err error
		if kills, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}

	for round := uint64(0); kills > 0; round++ {
		some := min(kills, killsAtMost)
		kills -= some

		t.Run(fmt.Sprintf("%d kills, round %d", some, round), func(t *testing.T) { battle(t, some, round) })
	}
}

func battle(t *testing.T, kills int, seed uint64) {
	t.Helper()

	f := &front{t: t, dir: t.TempDir(), over: make(chan struct{}), chance: rand.New(rand.NewPCG(20261128, seed))}
	for i := range f.at {
		f.at[i] = freeAddress(t)
	}

	var err error
	if f.log, err = os.Create(filepath.Join(t.TempDir(), "log")); err != nil {
		t.Fatal(err)
	}
	defer f.log.Close()

	f.up()
	defer func() { _ = f.child.Process.Kill() }()
	f.ready()

	proxy := f.listen()
	all := f.cast(kills < 20)

	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(kills)*10*time.Second+5*time.Minute)
	defer cancel()

	var machines, people sync.WaitGroup

	for _, g := range all {
		machines.Go(func() { g.live(ctx, proxy) })
		people.Go(func() { g.attend(ctx) })
	}

	f.fight(kills)
	people.Wait()
	cancel()
	machines.Wait()
	f.kill()

	for _, g := range all {
		g.check()
	}

	f.checkAcks()
}

// listen opens the ear and the operator's way in, and returns where machines speak.
func (f *front) listen() string {
	f.t.Helper()

	pair, err := keyPair(f.dir, gateKey, time.Now())
	if err != nil {
		f.t.Fatal(err)
	}

	listener, err := (&net.ListenConfig{}).Listen(f.t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		f.t.Fatal(err)
	}

	f.ear = &ear{to: "https://" + f.at[1], client: &http.Client{Transport: insecure(), Timeout: 30 * time.Second}, epochs: map[string]int{}}
	server := &http.Server{
		Handler: f.ear, TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12},
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo), ReadHeaderTimeout: time.Minute,
	}

	go func() { _ = server.ServeTLS(listener, "", "") }()

	f.t.Cleanup(func() { _ = server.Close() })

	token, err := os.ReadFile(filepath.Join(f.dir, tokenFile))
	if err == nil {
		f.people, err = client.New("https://"+f.at[0], string(token), filepath.Join(f.dir, consoleKey+".crt"))
	}

	if err != nil {
		f.t.Fatal(err)
	}

	return "https://" + listener.Addr().String()
}

// check compares how the run ended with its script.
func (g *guest) check() {
	state, verdict := g.want()
	if g.last.State != state || g.last.Verdict != verdict {
		g.t.Errorf("%s (run %s) ended as %s with verdict %q, want %s and %q; stages %+v findings %+v",
			g.Name, g.run, g.last.State, g.last.Verdict, state, verdict, g.last.Stages, g.last.Findings)
	}

	for _, row := range g.last.Stages {
		if row.Attempt > 1+g.asked[row.Name] {
			g.t.Errorf("%s: the appliance ran %s %d times, asked for %v", g.Name, row.Name, row.Attempt, g.asked)
		}
	}

	g.mu.Lock()
	defer g.mu.Unlock()

	for name, times := range g.began {
		if times > 1+g.asked[name] {
			g.t.Errorf("%s: the machine began %s %d times, asked for %v", g.Name, name, times, g.asked)
		}
	}
}

// checkAcks looks in ledger and logs for all that was acknowledged.
func (f *front) checkAcks() {
	f.t.Helper()

	ledger, err := store.Open(f.t.Context(), store.Config{Dir: filepath.Join(f.dir, ledgerDir)})
	if err != nil {
		f.t.Fatal(err)
	}
	defer ledger.Close()

	if _, err := ledger.Verify(f.t.Context()); err != nil {
		f.t.Error(err)
	}

	logs, err := runlog.Open(runlog.Config{Dir: filepath.Join(f.dir, logDir)})
	if err != nil {
		f.t.Fatal(err)
	}
	defer logs.Close()

	said := map[string]map[string]int{} // by run, lines and how often they are there
	count := map[string]int{}

	f.ear.mu.Lock()
	defer f.ear.mu.Unlock()

	for _, a := range f.ear.acks {
		count[a.call]++

		switch a.call {
		case "result":
			f.checkResult(ledger, a)
		case "sensor":
			f.checkSamples(ledger, a)
		case "log":
			if said[a.run] == nil {
				said[a.run] = lines(f.t, logs, a.run)
			}

			f.checkLines(said[a.run], a)
		}
	}

	f.t.Logf("acknowledged: %v", count)

	if count["result"] < 2*guests || count["sensor"] == 0 || count["log"] == 0 {
		f.t.Errorf("too little was said for a test: %v", count)
	}
}

func (f *front) read(ledger core.Ledger, table core.Table, key string, out any) error {
	return ledger.View(f.t.Context(), func(r core.Reader) error { return r.Get(table, key, out) })
}

func (f *front) checkResult(ledger core.Ledger, a ack) {
	var (
		result wire.Result
		run    core.Run
	)

	if err := errors.Join(json.Unmarshal(a.body, &result), f.read(ledger, core.TableRun, a.run, &run)); err != nil {
		f.t.Errorf("run %s: %v", a.run, err)

		return
	}

	at := run.StageAt(core.StageName(result.Stage))
	if at < 0 || run.Stages[at].Phase != core.Done || run.Stages[at].Attempt == 1 && string(run.Stages[at].Verdict) != string(result.Verdict) {
		f.t.Errorf("run %s: a result of %s, %s, was acknowledged; there is %+v", a.run, result.Stage, result.Verdict, run.Stages)
	}
}

func (f *front) checkSamples(ledger core.Ledger, a ack) {
	var (
		batch wire.SensorBatch
		kept  core.SampleBatch
	)

	err := json.Unmarshal(a.body, &batch)
	key := fmt.Sprintf("%s/%06d/%020d", a.run, f.ear.epochs[a.token], batch.Seq)

	if err = errors.Join(err, f.read(ledger, core.TableSamples, key, &kept)); err != nil || len(kept.Samples) != len(batch.Samples) {
		f.t.Errorf("batch %s of %d samples was acknowledged; there are %d: %v", key, len(batch.Samples), len(kept.Samples), err)
	}
}

// lines returns what is in the log of a run, and demands whole numbers.
func lines(t *testing.T, logs *runlog.Log, run string) map[string]int {
	t.Helper()

	all, err := logs.ReadLog(t.Context(), core.RunID(run), 0, 0)
	if err != nil {
		t.Fatal(err)
	}

	count := map[string]int{}

	for i, line := range all {
		if line.Seq != uint64(i+1) {
			t.Fatalf("run %s: line %d has the number %d", run, i+1, line.Seq)
		}

		count[line.Text]++

		if strings.HasPrefix(line.Text, "line ") && count[line.Text] > 1 {
			t.Errorf("run %s: %q is there %d times", run, line.Text, count[line.Text])
		}
	}

	return count
}

func (f *front) checkLines(said map[string]int, a ack) {
	var batch wire.LogBatch
	if err := json.Unmarshal(a.body, &batch); err != nil {
		f.t.Error(err)
	}

	for _, line := range batch.Lines {
		if said[line.Text] == 0 {
			f.t.Errorf("run %s: %q was acknowledged and is not there", a.run, line.Text)
		}
	}
}
