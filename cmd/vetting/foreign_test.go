package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"vetting/cmd/client"
	"vetting/cmd/vetting-lab/foreign"
	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/route"
	"vetting/netboot/httpboot"
)

// abroad is a whole appliance, with its ledger on a disk, before machines that run
// an agent which was written from the contract alone. The n-th machine has the
// address 127.0.0.n.
type abroad struct {
	*appliance

	t      *testing.T
	agents string // where the agent API answers
	boot   string // where the boot services do
	people *client.Client
}

func goAbroad(t *testing.T) *abroad {
	t.Helper()

	a, agents := withAgents(t, nil)

	return atDesk(t, a, agents)
}

// atDesk gives a person a way in.
func atDesk(t *testing.T, a *appliance, agents string) *abroad {
	t.Helper()

	token, err := a.ui.CreateToken(t.Context(), "op", "operate")
	if err != nil {
		t.Fatal(err)
	}

	people, err := client.New(a.ui.URL(), token, filepath.Join(a.config.DataDir, consoleKey+".crt"))
	if err != nil {
		t.Fatal(err)
	}

	return &abroad{appliance: a, t: t, agents: agents, boot: serveBoot(t, a), people: people}
}

// serveBoot serves what machines boot from, on loopback, and returns where.
func serveBoot(t *testing.T, a *appliance) string {
	t.Helper()

	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	server := bootServer(a, coretest.MAC)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)

	go func() { ended <- server.Serve(ctx, listener) }()

	t.Cleanup(func() {
		cancel()

		if err := <-ended; err != nil {
			t.Error(err)
		}
	})

	return "http://" + listener.Addr().String()
}

// bootServer is the boot service for machines on loopback, where 127.0.0.n is leased
// to the n-th.
func bootServer(a *appliance, nth func(n int) core.MAC) *httpboot.Server {
	return httpboot.New(httpboot.Config{
		Interface: "lo", Self: netip.MustParseAddr("127.0.0.1"), Booter: a.engine, Witness: a.engine, Log: slog.New(slog.DiscardHandler),
		Holder: func(addr netip.Addr) (core.BootClient, bool) {
			return core.BootClient{MAC: nth(int(addr.As4()[3])), Kind: core.ClientIPXE, Addr: addr}, true
		},
	})
}

// start registers the n-th machine and starts a run on it, as a person does who
// has only the API.
func (s *abroad) start(n int) string {
	s.t.Helper()

	var run route.Run

	host := route.HostCreate{MAC: string(coretest.MAC(n)), Name: fmt.Sprintf("abroad-%d", n)}

	err := errors.Join(
		s.people.Call(s.t.Context(), client.Request{Route: "hosts.create", Body: host}, nil),
		s.people.Call(s.t.Context(), client.Request{
			Route: "hosts.start", Params: []string{string(coretest.MAC(n))}, Body: route.RunStart{Profile: "quick"},
		}, &run))
	if err != nil {
		s.t.Fatal(err)
	}

	return string(run.ID)
}

// shown is the run as people see it.
func (s *abroad) shown(id string) (run route.Run) {
	s.t.Helper()

	if err := s.people.Call(s.t.Context(), client.Request{Route: "runs.get", Params: []string{id}}, &run); err != nil {
		s.t.Fatal(err)
	}

	return run
}

// get fetches a path of the boot services as the n-th machine.
func (s *abroad) get(n int, path string) (status int, body string) {
	s.t.Helper()

	status, body, err := bootGet(s.t.Context(), n, s.boot+path)
	if err != nil {
		s.t.Fatal(err)
	}

	return status, body
}

// bootGet fetches something from boot services as the n-th machine.
func bootGet(ctx context.Context, n int, url string) (status int, body string, err error) {
	from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(n))}}
	asks := http.Client{Transport: &http.Transport{DialContext: from.DialContext, DisableKeepAlives: true}}

	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}

	answer, err := asks.Do(request)
	if err != nil {
		return 0, "", err
	}

	defer answer.Body.Close()

	text, err := io.ReadAll(answer.Body)

	return answer.StatusCode, string(text), err
}

// seedIn finds where a boot script has the seed; empty: it boots nothing.
func seedIn(script string) string {
	found := regexp.MustCompile(`/seed/([0-9a-f]+)\.cpio`).FindStringSubmatch(script)
	if found == nil {
		return ""
	}

	return found[1]
}

// nonce has the n-th machine fetch its boot script, when its run got its turn, and
// returns what names its seed.
func (s *abroad) nonce(n int) string {
	s.t.Helper()

	for every := time.Tick(10 * time.Millisecond); ; <-every {
		_, script := s.get(n, "/ipxe/"+string(coretest.MAC(n)))
		if nonce := seedIn(script); nonce != "" {
			return nonce
		}

		if s.t.Context().Err() != nil {
			s.t.Fatalf("machine %d gets no script: %s", n, script)
		}
	}
}

// comes boots the n-th machine: it fetches script and seed and starts the agent.
func (s *abroad) comes(n int, bootID string) *foreign.Agent {
	s.t.Helper()

	status, archive := s.get(n, "/seed/"+s.nonce(n)+".cpio")
	if status != http.StatusOK {
		s.t.Fatalf("machine %d gets no seed: %d %s", n, status, archive)
	}

	seed := readSeed(s.t, archive)
	seed.Base = s.agents

	agent := foreign.Boot(seed, foreign.Machine{
		MAC: string(coretest.MAC(n)), UUID: coretest.Identity(n).SMBIOSUUID, Serial: coretest.Identity(n).BoardSerial, BootID: bootID,
	})
	s.t.Cleanup(agent.Close)

	return agent
}

func readSeed(t *testing.T, archive string) foreign.Seed {
	t.Helper()

	var said struct {
		Run   string `json:"run"`
		Token string `json:"boot_token"`
		Pin   string `json:"spki_sha256"`
	}

	text := archive[strings.IndexByte(archive, '{') : strings.LastIndexByte(archive, '}')+1]

	pin := [32]byte{}
	err := json.Unmarshal([]byte(text), &said)

	raw, bad := hex.DecodeString(said.Pin)
	if copy(pin[:], raw); errors.Join(err, bad) != nil || len(raw) != len(pin) || said.Run == "" || said.Token == "" {
		t.Fatalf("seed %q: %v", text, errors.Join(err, bad))
	}

	return foreign.Seed{Run: said.Run, Token: said.Token, Pin: pin}
}

// claims boots the n-th machine and claims its run.
func (s *abroad) claims(n int, bootID string) (*foreign.Agent, foreign.Claimed) {
	s.t.Helper()

	agent := s.comes(n, bootID)

	claimed, err := agent.Claim(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}

	return agent, claimed
}

// An agent that somebody else wrote, from the contract alone, brings a run from its
// boot script to its verdict, and what it said is there for people to read.
func TestAForeignAgentCompletesARun(t *testing.T) {
	t.Parallel()

	s := goAbroad(t)
	id := s.start(1)
	agent := s.comes(1, "boot-1")

	if hello, err := agent.Hello(t.Context()); err != nil || hello.State != string(core.StateBooting) || time.Since(hello.ServerTime).Abs() > time.Minute {
		t.Fatalf("hello: %+v, %v", hello, err)
	}

	claimed, err := agent.Claim(t.Context())
	if err != nil || claimed.Epoch != 1 || claimed.Interval <= 0 || len(claimed.Stages) == 0 {
		t.Fatalf("claim: %+v, %v", claimed, err)
	}

	done, err := agent.Work(t.Context(), claimed)
	if err != nil {
		t.Fatalf("after %v: %v; %+v", done, err, s.shown(id).Stages)
	}

	var want []string
	for _, stage := range claimed.Stages {
		want = append(want, stage.Name)
	}

	if !slices.Equal(done, want) {
		t.Errorf("done %v of %v", done, want)
	}

	run := s.shown(id)
	if run.State != core.StateCompleted {
		t.Errorf("the run is in %s: %+v", run.State, run.Stages)
	}

	for _, row := range run.Stages {
		if slices.Contains(want, string(row.Name)) && (row.Verdict != core.Pass || row.Attempt != 1) {
			t.Errorf("%s: %s in %d tries, findings %+v", row.Name, row.Verdict, row.Attempt, row.Findings)
		}
	}

	s.wantWords(id, len(want))

	// The token ends with the run.
	if _, err := agent.Result(t.Context(), want[0], "pass"); refused(err) == 0 {
		t.Errorf("a result when the run is over: %v", err)
	}
}

// wantWords demands a line, a sample and a file of each of n stages.
func (s *abroad) wantWords(id string, n int) {
	s.t.Helper()

	var (
		log     route.LogPage
		samples route.SampleList
		files   route.ArtifactList
	)

	ask := func(name string, out any) error {
		return s.people.Call(s.t.Context(), client.Request{Route: name, Params: []string{id}}, out)
	}
	if err := errors.Join(ask("runs.log", &log), ask("runs.samples", &samples), ask("runs.artifacts", &files)); err != nil {
		s.t.Fatal(err)
	}

	strange := 0

	for _, line := range log.Lines {
		if strings.HasPrefix(line.Text, "a stranger looks at ") {
			strange++
		}
	}

	if strange != n || len(samples.Samples) != n || len(files.Artifacts) != n {
		s.t.Errorf("of %d stages there are %d lines, %d samples, %d files", n, strange, len(samples.Samples), len(files.Artifacts))
	}
}

// thiefsKey is a host key as the contract wants it.
const thiefsKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"

// refused is the status of a refusal; 0: it was none.
func refused(err error) int {
	if refusal, ok := errors.AsType[*foreign.Refusal](err); ok {
		return refusal.Status
	}

	return 0
}

// speakAll makes every call of the contract with a token, and returns how each ended.
func speakAll(ctx context.Context, agent *foreign.Agent, token string) map[string]error {
	own := agent.Token()
	defer agent.Bear(own)

	said := map[string]error{}

	for call, say := range map[string]func() error{
		"hello":     func() error { _, err := agent.Hello(ctx); return err },
		"claim":     func() error { _, err := agent.Claim(ctx); return err },
		"heartbeat": func() error { _, err := agent.Beat(ctx, "SMART", 0.5); return err },
		"log":       func() error { return agent.Log(ctx, "SMART", "whatever a thief says") },
		"sensor":    func() error { return agent.Sense(ctx, "SMART", "cpu/package0/temperature_celsius", "celsius", 1) },
		"result":    func() error { _, err := agent.Result(ctx, "InventoryCheck", "pass"); return err },
		"artifact":  func() error { _, err := agent.Artifact(ctx, "SMART", "loot.txt", []byte("loot")); return err },
		"hold":      func() error { _, err := agent.Hold(ctx, thiefsKey); return err },
	} {
		agent.Bear(token)

		said[call] = say()
	}

	return said
}

func anyToken(t *testing.T) string {
	t.Helper()

	raw := make([]byte, 32)
	if _, err := rand.Read(raw); err != nil {
		t.Fatal(err)
	}

	return base64.RawURLEncoding.EncodeToString(raw)
}

// agePast lets the time of a run's boot token pass.
func (s *abroad) agePast(id string) {
	s.t.Helper()

	_, err := s.store.Update(s.t.Context(), func(tx core.Txn) error {
		var secret core.RunSecret

		err := tx.Get(core.TableRunSecret, id, &secret)
		secret.BootExpires = time.Now().Add(-time.Second)

		return errors.Join(err, tx.Put(core.TableRunSecret, id, secret))
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// No token but the run's own, in its time and once, moves anything.
func TestAForeignAgentIsRefusedWithEveryOtherToken(t *testing.T) {
	t.Parallel()

	s := goAbroad(t)
	first, second, third := s.start(1), s.start(2), s.start(3)
	claimer := s.comes(1, "boot-1")
	boot := claimer.Token()

	if _, err := claimer.Claim(t.Context()); err != nil {
		t.Fatal(err)
	}

	if _, err := claimer.Beat(t.Context(), "InventoryCheck", 0); err != nil { // the answer to its claim has arrived
		t.Fatal(err)
	}

	neighbour := s.comes(2, "boot-2")
	neighbours := neighbour.Token()

	if _, err := neighbour.Claim(t.Context()); err != nil {
		t.Fatal(err)
	}

	late := s.comes(3, "boot-3")
	s.agePast(third)

	before := fmt.Sprint(s.shown(first).Stages, s.shown(second).Stages, s.shown(third).Stages)

	for name, test := range map[string]struct {
		agent *foreign.Agent
		token string
		want  []int
	}{
		"none":                       {claimer, "", []int{401}},
		"a wrong one":                {claimer, anyToken(t), []int{401}},
		"another run's session":      {claimer, neighbour.Token(), []int{403}},
		"another run's, used":        {claimer, neighbours, []int{401, 403}},
		"one that was used":          {claimer, boot, []int{401, 403}},
		"one whose time has passed":  {late, late.Token(), []int{401, 410}},
		"another's on that late run": {late, claimer.Token(), []int{403}},
	} {
		for call, err := range speakAll(t.Context(), test.agent, test.token) {
			if !slices.Contains(test.want, refused(err)) {
				t.Errorf("%s: %s ended with %v, want one of %v", name, call, err, test.want)
			}
		}
	}

	if after := fmt.Sprint(s.shown(first).Stages, s.shown(second).Stages, s.shown(third).Stages); before != after {
		t.Errorf("the runs changed from\n%s\nto\n%s", before, after)
	}

	if run := s.shown(third); run.Boots != 0 {
		t.Errorf("the run was given away to %d boots", run.Boots)
	}

	if !s.noticed("boot/token-reused") {
		t.Error("nobody is told that a token was used twice")
	}

	// The rightful agent goes on as if nothing had happened.
	if _, err := claimer.Result(t.Context(), "InventoryCheck", "pass"); err != nil {
		t.Error(err)
	}
}

// Of two boots on one run the older one is fenced: whatever it says, it has no part in
// the run any more.
func TestAForeignAgentOfAnOlderBootIsFenced(t *testing.T) {
	t.Parallel()

	s := goAbroad(t)
	id := s.start(1)
	older, first := s.claims(1, "boot-1")

	if _, err := older.Beat(t.Context(), "InventoryCheck", 0); err != nil {
		t.Fatal(err)
	}

	newer, second := s.claims(1, "boot-2")
	if second.Epoch != first.Epoch+1 {
		t.Errorf("epoch %d after %d", second.Epoch, first.Epoch)
	}

	if _, err := newer.Beat(t.Context(), "InventoryCheck", 0); err != nil {
		t.Error(err)
	}

	before := s.shown(id)

	for call, err := range speakAll(t.Context(), older, older.Token()) {
		if want := http.StatusGone; call != "hello" && call != "claim" && refused(err) != want {
			t.Errorf("%s of the older boot ended with %v, want %d", call, err, want)
		} else if refused(err) == 0 {
			t.Errorf("%s of the older boot: %v", call, err)
		}
	}

	if after := s.shown(id); fmt.Sprint(after.Stages, after.State) != fmt.Sprint(before.Stages, before.State) {
		t.Errorf("the run changed from %+v to %+v", before, after)
	}
}

// noticed reports whether a notice with the code is in the ledger.
func (s *abroad) noticed(code string) (found bool) {
	s.t.Helper()

	err := s.store.View(s.t.Context(), func(r core.Reader) error {
		events, err := r.Events(0, 0)
		for _, e := range events {
			found = found || e.Kind == core.EventNotice && bytes.Contains(e.Data, []byte(`"`+code+`"`))
		}

		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}

	return found
}

// With the tokens of a run no call of the operator API can be made: not where the
// agents are answered, not where people are.
func TestAForeignAgentReachesNoOperatorRoute(t *testing.T) {
	t.Parallel()

	s := goAbroad(t)
	id := s.start(1)
	waiting := s.comes(1, "boot-1")
	boot := waiting.Token()
	agent, _ := s.claims(1, "boot-2")
	before := s.trail()

	for _, r := range route.Table() {
		path := strings.NewReplacer("{mac}", string(coretest.MAC(1)), "{id}", id, "{name}", "op", "{sha256}", strings.Repeat("0", 64)).Replace(r.Path)

		for whose, token := range map[string]string{"session": agent.Token(), "boot": boot} {
			agent.Bear(token)

			_, err := agent.Ask(t.Context(), r.Method, path, []byte(`{"mac":"52:54:00:00:00:99","name":"loot","hostname":"loot"}`))
			if status := refused(err); status != 401 && status != 403 && status != 404 && status != 405 {
				t.Errorf("%s, where agents are answered, with the %s token: %v", r.Name, whose, err)
			}

			status := s.asPeople(r.Method, path, r.ReqType, token)
			if r.Scope != route.None && status != http.StatusUnauthorized {
				t.Errorf("%s, where people are answered, with the %s token: status %d", r.Name, whose, status)
			}
		}

		agent.Bear(agent.Token())
	}

	if after := s.trail(); before != after {
		t.Errorf("something was done:\n%s\nwas\n%s", after, before)
	}
}

// asPeople makes a call of the operator API with a token, and returns its status.
func (s *abroad) asPeople(method, path, kind, token string) int {
	s.t.Helper()

	request, err := http.NewRequestWithContext(s.t.Context(), method, s.ui.URL()+path, strings.NewReader("{}"))
	if err != nil {
		s.t.Fatal(err)
	}

	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", kind)

	answer, err := (&http.Client{Transport: insecure()}).Do(request)
	if err != nil {
		s.t.Fatal(err)
	}

	defer answer.Body.Close()

	return answer.StatusCode
}

// trail is all that operators are on record with, and all hosts.
func (s *abroad) trail() string {
	s.t.Helper()

	var all strings.Builder

	err := s.store.View(s.t.Context(), func(r core.Reader) error {
		for _, table := range []core.Table{core.TableAudit, core.TableHost} {
			err := r.Scan(table, core.Query{}, func(key string, decode func(any) error) error {
				var row struct {
					Action string   `json:"action"`
					Name   string   `json:"name"`
					MAC    core.MAC `json:"mac"`
				}

				err := decode(&row)
				fmt.Fprintln(&all, key, row)

				return err
			})
			if err != nil {
				return err
			}
		}

		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}

	return all.String()
}

// A machine gets its own seed and no other: not by another's nonce, not by another's
// script, and not a second time once its run is claimed.
func TestAForeignMachineGetsNoOthersSeed(t *testing.T) {
	t.Parallel()

	s := goAbroad(t)
	mine, others := s.start(1), s.start(2)
	theirs := s.nonce(2)

	if status, body := s.get(1, "/seed/"+theirs+".cpio"); status != http.StatusForbidden || strings.Contains(body, "boot_token") {
		t.Errorf("another's seed: %d %.200q", status, body)
	}

	if !s.noticed("boot/wrong-address") {
		t.Error("nobody is told that another asked for the seed")
	}

	if status, body := s.get(1, "/seed/self.cpio"); status != http.StatusNotFound && status != http.StatusOK || strings.Contains(body, others) {
		t.Errorf("its own by its address: %d %.200q", status, body)
	}

	// Whatever address it asks in the name of, it is told what is meant for itself.
	_, script := s.get(1, "/ipxe/"+string(coretest.MAC(2)))
	if nonce := seedIn(script); nonce != "" {
		if _, archive := s.get(1, "/seed/"+nonce+".cpio"); readSeed(t, archive).Run != mine {
			t.Errorf("another's script leads to the run %s", readSeed(t, archive).Run)
		}
	}

	nonce := s.nonce(1)
	status, archive := s.get(1, "/seed/"+nonce+".cpio")

	if status != http.StatusOK || readSeed(t, archive).Run != mine {
		t.Errorf("its own: %d", status)
	}

	agent := foreign.Boot(foreign.Seed{Base: s.agents, Run: mine, Token: readSeed(t, archive).Token, Pin: readSeed(t, archive).Pin},
		foreign.Machine{MAC: string(coretest.MAC(1)), UUID: coretest.Identity(1).SMBIOSUUID, Serial: "B1", BootID: "boot-1"})
	defer agent.Close()

	if _, err := agent.Claim(t.Context()); err != nil {
		t.Fatal(err)
	}

	if status, body := s.get(1, "/seed/"+nonce+".cpio"); status != http.StatusGone || strings.Contains(body, "boot_token") {
		t.Errorf("its own, when it is spent: %d %.200q", status, body)
	}

	for _, path := range []string{"/seed/" + theirs + ".cpio", "/seed/self.cpio", "/ipxe/" + string(coretest.MAC(2))} {
		if _, err := agent.Ask(t.Context(), http.MethodGet, path, nil); refused(err) != http.StatusNotFound {
			t.Errorf("%s, where agents are answered: %v", path, err)
		}
	}

	// The other machine is none the worse for it.
	if status, archive := s.get(2, "/seed/"+theirs+".cpio"); status != http.StatusOK || readSeed(t, archive).Run != others {
		t.Errorf("the other's own: %d", status)
	}
}
