package gate_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"vetting/agent/gate"
	"vetting/agent/gate/gatetest"
	"vetting/agent/wire"
	"vetting/core"
	"vetting/core/engine"
)

// The engine decides about installed machines.
var _ gate.Hosts = (*engine.Engine)(nil)

// porch is the side of installed machines before a roster.
type porch struct {
	t      *testing.T
	roster *gatetest.Roster
	gate   http.Handler
	log    *bytes.Buffer
	now    time.Time
	key    ed25519.PrivateKey
}

const (
	beatPath = "/api/v1/hosts/52:54:00:12:34:56/heartbeat"
	someSPKI = "3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855e"
	beatBody = `{"agent_version":"1","uptime_s":60,"boot_id":"b1"}`
)

func newPorch(t *testing.T, change ...func(*gate.HostConfig)) *porch {
	t.Helper()

	p := &porch{
		t: t, roster: gatetest.NewRoster(), log: &bytes.Buffer{}, now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), key: seeded(1),
	}
	c := gate.HostConfig{
		Hosts: p.roster, SPKI: someSPKI, Log: slog.New(slog.NewTextHandler(p.log, nil)), Now: func() time.Time { return p.now },
	}

	for _, f := range change {
		f(&c)
	}

	p.gate = gate.NewHosts(c)
	p.now = p.now.Add(time.Second)

	return p
}

func seeded(n byte) ed25519.PrivateKey { return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, 32)) }

func public(key ed25519.PrivateKey) ed25519.PublicKey { return key.Public().(ed25519.PublicKey) }

func registration(key ed25519.PrivateKey) string {
	return fmt.Sprintf(`{"mac":"52:54:00:12:34:56","hostname":"r1","public_key":%q}`, base64.StdEncoding.EncodeToString(public(key)))
}

// call signs and sends a call; a nil key leaves it unsigned.
func (p *porch) call(key ed25519.PrivateKey, path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))

	if key != nil {
		p.now = p.now.Add(time.Millisecond)
		sign(r, wire.Sign(key, http.MethodPost, path, p.now, []byte(body)))
	}

	return p.do(r)
}

func sign(r *http.Request, s wire.Signature) {
	r.Header.Set(wire.HeaderKey, s.Key)
	r.Header.Set(wire.HeaderTime, s.Time)
	r.Header.Set(wire.HeaderSignature, s.Value)
}

func (p *porch) do(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	p.gate.ServeHTTP(w, r)

	return w
}

func (p *porch) registered() *porch {
	p.t.Helper()

	if got := p.call(p.key, "/api/v1/hosts", registration(p.key)); got.Code != http.StatusCreated {
		p.t.Fatalf("register: %d %s", got.Code, got.Body)
	}

	return p
}

// wants checks status and code, or command, of an answer.
func wants(t *testing.T, got *httptest.ResponseRecorder, status int, word string) {
	t.Helper()

	if got.Code != status || !strings.Contains(got.Body.String(), `"`+word+`"`) {
		t.Errorf("%d %s, want %d with %q", got.Code, got.Body, status, word)
	}
}

func TestAnInstalledMachineRegistersAndBeats(t *testing.T) {
	p := newPorch(t).registered()

	got := p.call(p.key, "/api/v1/hosts", registration(p.key))
	wants(t, got, http.StatusOK, "pending")

	var answer wire.HostRegistered
	if err := json.Unmarshal(got.Body.Bytes(), &answer); err != nil || answer.Validate() != nil {
		t.Fatalf("%v %s", err, got.Body)
	}

	if answer.Host.Fingerprint != core.KeyFingerprint(public(p.key)) || answer.Host.KeyID != core.KeyID(public(p.key)) {
		t.Errorf("%+v", answer.Host)
	}

	wants(t, p.call(p.key, beatPath, beatBody), http.StatusOK, "continue")

	beats := p.roster.Beats()
	if len(beats) != 1 || beats[0].KeyID != core.KeyID(public(p.key)) || beats[0].Uptime != time.Minute || beats[0].BootID != "b1" {
		t.Errorf("beats %+v", beats)
	}
}

func TestAMachineIsToldToRebootOnlyWhenItsKeyIsApproved(t *testing.T) {
	tests := map[string]struct {
		state core.HostKeyState
		want  string
	}{
		"pending":  {core.HostKeyPending, "continue"},
		"approved": {core.HostKeyApproved, "reboot_for_vetting"},
	}

	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := newPorch(t).registered()
			p.roster.Decide(test.state)
			p.roster.Order(gatetest.HostMAC) // though the roster would

			wants(t, p.call(p.key, beatPath, beatBody), http.StatusOK, test.want)
		})
	}
}

func TestABeatThatIsNotTheMachinesOwnIsRefused(t *testing.T) {
	tests := map[string]struct {
		call   func(p *porch) *httptest.ResponseRecorder
		status int
		code   string
	}{
		"unsigned":       {func(p *porch) *httptest.ResponseRecorder { return p.call(nil, beatPath, beatBody) }, 401, "host/key-refused"},
		"an unknown key": {func(p *porch) *httptest.ResponseRecorder { return p.call(seeded(2), beatPath, beatBody) }, 401, "host/key-unknown"},
		"another key under its name": {func(p *porch) *httptest.ResponseRecorder {
			s := wire.Sign(seeded(2), http.MethodPost, beatPath, p.now, []byte(beatBody))
			s.Key = core.KeyID(public(p.key))

			return p.send(s, beatPath, beatBody)
		}, 401, "host/key-refused"},
		"another body": {func(p *porch) *httptest.ResponseRecorder {
			return p.send(wire.Sign(p.key, http.MethodPost, beatPath, p.now, []byte("{}")), beatPath, beatBody)
		}, 401, "host/key-refused"},
		"another path": {func(p *porch) *httptest.ResponseRecorder {
			return p.send(wire.Sign(p.key, http.MethodPost, "/api/v1/hosts", p.now, []byte(beatBody)), beatPath, beatBody)
		}, 401, "host/key-refused"},
		"another method": {func(p *porch) *httptest.ResponseRecorder {
			return p.send(wire.Sign(p.key, http.MethodPut, beatPath, p.now, []byte(beatBody)), beatPath, beatBody)
		}, 401, "host/key-refused"},
		"another host's address": {func(p *porch) *httptest.ResponseRecorder {
			return p.call(p.key, "/api/v1/hosts/52:54:00:12:34:99/heartbeat", beatBody)
		}, 403, "host/key-refused"},
		"a revoked key": {func(p *porch) *httptest.ResponseRecorder {
			p.roster.Decide(core.HostKeyRevoked)

			return p.call(p.key, beatPath, beatBody)
		}, 403, "host/key-refused"},
		"a time long gone": {func(p *porch) *httptest.ResponseRecorder { return p.at(-6 * time.Minute) }, 401, "host/clock"},
		"a time to come":   {func(p *porch) *httptest.ResponseRecorder { return p.at(6 * time.Minute) }, 401, "host/clock"},
		"a time that is none": {func(p *porch) *httptest.ResponseRecorder {
			s := wire.Sign(p.key, http.MethodPost, beatPath, p.now, []byte(beatBody))
			s.Time = "yesterday"

			return p.send(s, beatPath, beatBody)
		}, 401, "host/key-refused"},
		"no MAC":     {func(p *porch) *httptest.ResponseRecorder { return p.call(p.key, "/api/v1/hosts/x/heartbeat", beatBody) }, 422, "host/bad-mac"},
		"no JSON":    {func(p *porch) *httptest.ResponseRecorder { return p.call(p.key, beatPath, "{") }, 400, "agent/malformed-json"},
		"no sense":   {func(p *porch) *httptest.ResponseRecorder { return p.call(p.key, beatPath, `{"uptime_s":-1}`) }, 422, "agent/invalid-message"},
		"a long one": {func(p *porch) *httptest.ResponseRecorder { return p.call(p.key, beatPath, strings.Repeat(" ", 65<<10)) }, 413, "agent/too-large"},
		"a bomb": {func(p *porch) *httptest.ResponseRecorder {
			return p.call(p.key, beatPath, strings.Repeat("[", 60<<10))
		}, 400, "agent/malformed-json"},
	}

	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := newPorch(t).registered()
			wants(t, test.call(p), test.status, test.code)

			if beats := p.roster.Beats(); len(beats) != 0 {
				t.Errorf("it was taken in: %+v", beats)
			}

			if strings.Contains(p.log.String(), beatBody) {
				t.Error("the body is in the log")
			}
		})
	}
}

func (p *porch) send(s wire.Signature, path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	sign(r, s)

	return p.do(r)
}

// at beats with a clock that is off.
func (p *porch) at(off time.Duration) *httptest.ResponseRecorder {
	return p.send(wire.Sign(p.key, http.MethodPost, beatPath, p.now.Add(off), []byte(beatBody)), beatPath, beatBody)
}

func TestABeatIsTakenOnceAndInOrder(t *testing.T) {
	p := newPorch(t).registered()

	wants(t, p.at(2*time.Second), http.StatusOK, "continue")
	wants(t, p.at(2*time.Second), http.StatusUnauthorized, "host/clock")
	wants(t, p.at(time.Second), http.StatusUnauthorized, "host/clock")

	got := p.at(2 * time.Second)
	if !strings.Contains(got.Body.String(), `"server_time":"2026-11-23T12:00:01`) {
		t.Errorf("the caller does not learn the time: %s", got.Body)
	}

	wants(t, p.at(2*time.Second+time.Millisecond), http.StatusOK, "continue")

	if n := len(p.roster.Beats()); n != 2 {
		t.Errorf("%d beats, want 2", n)
	}
}

func TestABeatFromBeforeARestartIsNotTakenAgain(t *testing.T) {
	p := newPorch(t).registered()
	s := wire.Sign(p.key, http.MethodPost, beatPath, p.now, []byte(beatBody))

	wants(t, p.send(s, beatPath, beatBody), http.StatusOK, "continue")

	p.now = p.now.Add(10 * time.Second)
	p.gate = gate.NewHosts(gate.HostConfig{Hosts: p.roster, SPKI: someSPKI, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return p.now }})
	wants(t, p.send(s, beatPath, beatBody), http.StatusUnauthorized, "host/clock")
}

func TestARegistrationMustBeSignedWithTheKeyThatItNames(t *testing.T) {
	p := newPorch(t)
	unkeyed := `{"mac":"52:54:00:12:34:56","hostname":"r1"}`

	wants(t, p.call(nil, "/api/v1/hosts", registration(p.key)), 401, "host/key-refused")
	wants(t, p.call(seeded(2), "/api/v1/hosts", registration(p.key)), 401, "host/key-refused")
	wants(t, p.call(p.key, "/api/v1/hosts", unkeyed), 401, "host/key-refused")
	wants(t, p.call(nil, "/api/v1/hosts", unkeyed), 401, "host/key-refused")
	wants(t, p.send(wire.Sign(p.key, "POST", "/api/v1/hosts", p.now.Add(-time.Hour), []byte(registration(p.key))), "/api/v1/hosts", registration(p.key)),
		401, "host/clock")

	borrowed := wire.Sign(p.key, "POST", "/api/v1/hosts", p.now, []byte(registration(p.key)))
	borrowed.Key = core.KeyID(public(seeded(2)))
	wants(t, p.send(borrowed, "/api/v1/hosts", registration(p.key)), 401, "host/key-refused")

	if len(p.roster.Selves()) != 0 {
		t.Errorf("%+v", p.roster.Selves())
	}
}

func TestARefusalOfTheRosterIsPassedOn(t *testing.T) {
	p := newPorch(t)
	p.roster.Judge(func(r core.SelfRegistration) error {
		if r.EnrolKey == "open sesame" {
			return nil
		}

		return core.NewProblem(core.ErrRefused, "host/enrol-key", "Not this one.")
	})

	wants(t, p.call(p.key, "/api/v1/hosts", registration(p.key)), 403, "host/enrol-key")

	with := strings.Replace(registration(p.key), "{", `{"enrol_key":"open sesame",`, 1)
	wants(t, p.call(p.key, "/api/v1/hosts", with), 201, "pending")

	if strings.Contains(p.log.String(), "sesame") {
		t.Error("the enrolment key is in the log")
	}
}

func TestWhereTheNetworkIsTrustedNothingNeedsASignature(t *testing.T) {
	p := newPorch(t, func(c *gate.HostConfig) { c.TrustLAN = true })

	wants(t, p.call(nil, "/api/v1/hosts", `{"mac":"52:54:00:12:34:56","hostname":"r1"}`), 201, "r1")
	p.roster.Order(gatetest.HostMAC)
	wants(t, p.call(nil, beatPath, beatBody), 200, "reboot_for_vetting")

	// A signature that is there must still be good.
	p.registeredAgain()
	wants(t, p.send(wire.Sign(p.key, "POST", beatPath, p.now, []byte("x")), beatPath, beatBody), 401, "host/key-refused")
}

func (p *porch) registeredAgain() { p.call(p.key, "/api/v1/hosts", registration(p.key)) }

func TestOneAddressMakesSoManyCallsAndNoMore(t *testing.T) {
	p := newPorch(t, func(c *gate.HostConfig) { c.Rate, c.Burst = 1, 3 })

	for range 3 {
		wants(t, p.call(nil, beatPath, beatBody), 401, "host/key-refused")
	}

	got := p.call(nil, beatPath, beatBody)
	wants(t, got, 429, "agent/too-fast")

	if got.Header().Get("Retry-After") == "" {
		t.Error("it is not told when to come again")
	}
}

func TestEverythingElseIsNotFound(t *testing.T) {
	p := newPorch(t)

	for _, path := range []string{"/", "/api/v1/hosts/52:54:00:12:34:56", "/register/", "/assets/", "/assets/../quick.sh"} {
		if got := p.do(httptest.NewRequest(http.MethodGet, path, nil)); got.Code == http.StatusOK {
			t.Errorf("%s: %d %s", path, got.Code, got.Body)
		}
	}
}

func TestAnOperatorsCallIsNotAHostsCall(t *testing.T) {
	tests := map[string]struct {
		method, path, signature string
		want                    bool
	}{
		"a signed registration":  {"POST", "/api/v1/hosts", "x", true},
		"an operator's":          {"POST", "/api/v1/hosts", "", false},
		"a signed GET":           {"GET", "/api/v1/hosts", "x", false},
		"the installer":          {"GET", "/register/quick.sh", "", true},
		"a look at the program":  {"HEAD", "/assets/vetting-agent-linux-amd64", "", true},
		"writing to the program": {"PUT", "/assets/vetting-agent-linux-amd64", "x", false},
	}

	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := gate.IsHostCall(test.method, test.path, test.signature); got != test.want {
				t.Errorf("%v", got)
			}
		})
	}
}

func TestTheInstallerAndTheProgramAreServed(t *testing.T) {
	const program = "#!/bin/sh\necho program\n"

	p := newPorch(t, func(c *gate.HostConfig) { c.Agent = packed(t, program) })

	ask := func(path string, header ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Host = "10.77.0.1:8443"

		if len(header) == 2 {
			r.Header.Set(header[0], header[1])
		}

		return p.do(r)
	}

	got := ask(gate.AgentPath)
	if got.Body.String() != program || got.Header().Get("ETag") != fmt.Sprintf(`"%x"`, sha256.Sum256([]byte(program))) {
		t.Errorf("%q %v", got.Body, got.Header())
	}

	if again := ask(gate.AgentPath, "If-None-Match", got.Header().Get("ETag")); again.Code != http.StatusNotModified {
		t.Errorf("asked again: %d", again.Code)
	}

	// A range would be unpacked from the beginning, each of thousands that one request
	// may list; those who ask for one get all, as RFC 9110 section 14.2 lets us.
	if part := ask(gate.AgentPath, "Range", "bytes=20-21,2-8,20-21"); part.Code != http.StatusOK || part.Body.String() != program {
		t.Errorf("a part: %d %q", part.Code, part.Body)
	}

	r := httptest.NewRequest(http.MethodHead, gate.AgentPath, nil)
	if head := p.do(r); head.Code != http.StatusOK || head.Body.Len() != 0 || head.Header().Get("Content-Length") != strconv.Itoa(len(program)) {
		t.Errorf("a look at it: %d %v", head.Code, head.Header())
	}

	script := ask(gate.QuickPath).Body.String()
	for _, want := range []string{"appliance='https://10.77.0.1:8443'", "pin='" + someSPKI + "'", "want='" + packed(t, program).Digest() + "'"} {
		if !strings.Contains(script, want) {
			t.Errorf("the installer lacks %s", want)
		}
	}

	if strings.Contains(script, "@") && strings.Contains(script, "@APPLIANCE@") {
		t.Error("the installer has a gap")
	}

	evil := httptest.NewRequest(http.MethodGet, gate.QuickPath, nil)
	evil.Host = "x';reboot;'"

	if got := p.do(evil); got.Code != http.StatusNotFound {
		t.Errorf("a host that is a program: %d %s", got.Code, got.Body)
	}

	wants(t, newPorch(t).do(httptest.NewRequest(http.MethodGet, gate.QuickPath, nil)), 404, "agent/no-program")
}

func packed(t *testing.T, program string) *gate.Program {
	t.Helper()

	p, err := gate.NewProgram(gatetest.Packed(t, program))
	if err != nil {
		t.Fatal(err)
	}

	return p
}

func TestADamagedProgramIsSaidAtTheStart(t *testing.T) {
	whole := gatetest.Packed(t, fakeAgent)
	flipped := bytes.Clone(whole)
	flipped[len(flipped)-8] ^= 1 // of the checksum

	for name, damaged := range map[string][]byte{"cut off": whole[:len(whole)-1], "a wrong checksum": flipped, "not packed": []byte("ELF"), "empty": {}} {
		if p, err := gate.NewProgram(damaged); err == nil || !strings.Contains(err.Error(), "agent for installed hosts") {
			t.Errorf("%s: %v, %v", name, p, err)
		}
	}
}

// fakeAgent prints what it was called with, as the installer expects it to run.
const fakeAgent = "#!/bin/sh\necho \"SHA256:fingerprint of $*\"\n"

// installer runs the served script with a shell against a real listener.
func installer(t *testing.T, program string, shell []string, change func(script string) string, env ...string) (root, said string, err error) {
	t.Helper()

	cert := gatetest.NewCert(t)
	server := httptest.NewUnstartedServer(gate.NewHosts(gate.HostConfig{
		Hosts: gatetest.NewRoster(), SPKI: gate.SPKI(cert.Leaf), Agent: packed(t, program), Log: slog.New(slog.DiscardHandler),
	}))
	server.StartTLS()
	t.Cleanup(server.Close)

	resp, err := server.Client().Get(server.URL + gate.QuickPath)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()

	var script bytes.Buffer
	if _, err := script.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}

	root = t.TempDir()
	cmd := exec.CommandContext(t.Context(), shell[0], append(shell[1:], "-s")...)
	cmd.Stdin = strings.NewReader(change(script.String()))
	cmd.Env = append(append(os.Environ(), "DESTDIR="+root), env...)

	out, err := cmd.CombinedOutput()

	return root, string(out), err
}

// shells are those that are here.
func shells(t *testing.T) (found [][]string) {
	t.Helper()

	_, curl := exec.LookPath("curl")
	_, wget := exec.LookPath("wget")

	if curl != nil && wget != nil {
		t.Skip("neither curl nor wget is installed")
	}

	for _, shell := range [][]string{{"busybox", "sh"}, {"dash"}, {"bash", "--posix"}, {"sh"}} {
		if _, err := exec.LookPath(shell[0]); err == nil {
			found = append(found, shell)
		}
	}

	if len(found) == 0 {
		t.Skip("there is no shell here")
	}

	return found
}

func same(s string) string { return s }

func TestTheInstallerPutsProgramConfigurationAndUnitInPlace(t *testing.T) {
	for _, shell := range shells(t) {
		t.Run(strings.Join(shell, " "), func(t *testing.T) {
			root, said, err := installer(t, fakeAgent, shell, same, "VETTING_ENROL_KEY=open-sesame")
			if err != nil {
				t.Fatalf("%v\n%s", err, said)
			}

			if !strings.Contains(said, "SHA256:fingerprint of host -config "+root+"/etc/vetting-agent.json") {
				t.Errorf("the fingerprint is not shown:\n%s", said)
			}

			program := filepath.Join(root, "usr/local/sbin/vetting-agent")
			if info, err := os.Stat(program); err != nil || info.Mode().Perm() != 0o755 {
				t.Errorf("program %v %v", info, err)
			}

			config := filepath.Join(root, "etc/vetting-agent.json")
			if info, err := os.Stat(config); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("configuration %v %v", info, err)
			}

			var told map[string]string

			raw, _ := os.ReadFile(config)
			if err := json.Unmarshal(raw, &told); err != nil || told["enrol_key"] != "open-sesame" || len(told["spki_sha256"]) != 64 ||
				!strings.HasPrefix(told["appliance"], "https://127.0.0.1:") {
				t.Errorf("configuration %s: %v", raw, err)
			}

			unit, err := os.ReadFile(filepath.Join(root, "etc/systemd/system/vetting-agent.service"))
			if err != nil || !strings.Contains(string(unit), "ExecStart=/usr/local/sbin/vetting-agent host\n") {
				t.Errorf("unit %s: %v", unit, err)
			}
		})
	}
}

func TestTheInstallerChangesNothingWhenSomethingIsWrong(t *testing.T) {
	tests := map[string]struct {
		change func(string) string
		env    string
		say    string
	}{
		"another program arrives": {func(s string) string {
			return strings.Replace(s, fmt.Sprintf("%x", sha256.Sum256([]byte(fakeAgent))), strings.Repeat("0", 64), 1)
		}, "", "nothing was installed"},
		"another machine":                   {func(s string) string { return strings.ReplaceAll(s, "$(uname -m)", "riscv64") }, "", "not for riscv64"},
		"another system":                    {func(s string) string { return strings.ReplaceAll(s, "$(uname -s)", "Plan9") }, "", "for Linux"},
		"an enrol key that bites":           {same, `VETTING_ENROL_KEY=","x":"`, "a character that enrolment keys do not have"},
		"the appliance is gone":             {func(s string) string { return strings.Replace(s, "https://127.0.0.1:", "https://127.0.0.1:1/", 1) }, "", "cannot be fetched"},
		"the console names another program": {func(s string) string { return strings.Replace(s, `main "$@"`, "main "+strings.Repeat("0", 64), 1) }, "", "than its console names"},
		"half of the script arrives":        {func(s string) string { return s[:len(s)-len("main \"$@\"\n")] }, "", ""},
	}

	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			root, said, err := installer(t, fakeAgent, shells(t)[0], test.change, test.env)
			if test.say != "" && (err == nil || !strings.Contains(said, test.say)) {
				t.Errorf("%v, said %q; want %q", err, said, test.say)
			}

			err = filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
				if err == nil && !entry.IsDir() {
					t.Errorf("left behind: %s", path)
				}

				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestTheLineForTheConsolePinsTheListenersKey(t *testing.T) {
	line := gate.QuickLine("10.0.0.5:8443", someSPKI, fmt.Sprintf("%x", sha256.Sum256(nil)))
	want := "curl -fsSk --pinnedpubkey 'sha256//OwxEKY/BwUmvv0yJlvuSQnrkHkZJuTTKSVmRt4UrhV4=' 'https://10.0.0.5:8443/register/quick.sh' | sudo sh -s -- " +
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

	if line != want {
		t.Errorf("%s\nwant\n%s", line, want)
	}
}
