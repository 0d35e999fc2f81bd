package httpboot_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"vetting/core"
	"vetting/netboot/httpboot"
	"vetting/netboot/uki/ukitest"
)

// The machines, by the address that they speak from.
const (
	vetted   = "127.0.0.2" // a run waits for it
	idle     = "127.0.0.3" // registered, to start from its own disk
	stranger = "127.0.0.4"
	foreign  = "127.0.0.6" // a run waits for it, and its processor is another
	settled  = "127.0.0.5" // a run waits for it, and it has its address without a lease

	vettedMAC = core.MAC("52:54:00:00:00:01")
)

// crowd are more addresses that the vetted machine speaks from.
var crowd = netip.MustParsePrefix("127.0.1.0/24")

// world is a server on the loopback device, and all that it talks to. Safe for
// concurrent use.
type world struct {
	t    *testing.T
	addr string

	server *httpboot.Server
	end    context.CancelFunc // of the server

	mu    sync.Mutex // guards all below
	steps []core.BootStep
	log   bytes.Buffer
	fault error // of Arm and Seed
	heads int
	armed int
	spent bool // the token of SeedOf was used

	cancelled bool // the run of the vetted machine

	overlays []core.Overlay // of the run; set before anybody asks
}

func (w *world) Decide(c core.BootClient) core.BootDecision {
	w.mu.Lock()
	cancelled := w.cancelled
	w.mu.Unlock()

	switch {
	case c.MAC == vettedMAC && cancelled:
		return core.BootDecision{Action: core.BootLocal, Host: c.MAC}
	case c.MAC == vettedMAC:
		return core.BootDecision{Action: core.BootVet, Host: c.MAC, Name: "bench", Run: "01RUN", Kernel: "memtest=4", Overlays: w.overlays}
	case c.MAC == "52:54:00:00:00:02":
		return core.BootDecision{Action: core.BootLocal, Host: c.MAC}
	default:
		return core.BootDecision{Action: core.BootIgnore}
	}
}

func (w *world) holder(addr netip.Addr) (core.BootClient, bool) {
	switch {
	case addr.String() == vetted, crowd.Contains(addr):
		return core.BootClient{MAC: vettedMAC, Kind: core.ClientIPXE}, true
	case addr.String() == foreign:
		return core.BootClient{MAC: vettedMAC, Kind: core.ClientIPXE, Arch: 11}, true
	case addr.String() == idle:
		return core.BootClient{MAC: "52:54:00:00:00:02", Kind: core.ClientIPXE}, true
	default:
		return core.BootClient{}, false
	}
}

// settled knows the machine that has the address which is set apart for it.
func (w *world) settled(addr netip.Addr) (core.MAC, bool) {
	return vettedMAC, addr.String() == settled
}

func (w *world) Arm(context.Context, core.MAC, netip.Addr) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()

	w.armed++
	w.spent = false

	return "abcdef", w.fault
}

func (w *world) Seed(_ context.Context, nonce string, _ netip.Addr, head bool) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()

	if head {
		w.heads++
	}

	return []byte("for " + nonce), w.fault
}

func (w *world) SeedOf(_ context.Context, mac core.MAC, _ netip.Addr, head bool) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()

	if head {
		w.heads++
	}

	if w.spent {
		return nil, core.ErrExpired
	}

	return []byte("of " + mac), w.fault
}

// spend has the token that is out be used.
func (w *world) spend() {
	w.mu.Lock()
	defer w.mu.Unlock()

	w.spent = true
}

func (w *world) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()

	w.fault = err
}

func (w *world) Witness(step core.BootStep) {
	w.mu.Lock()
	defer w.mu.Unlock()

	w.steps = append(w.steps, step)
}

// seen lists the steps since the last call.
func (w *world) seen() string {
	w.mu.Lock()
	defer w.mu.Unlock()

	var b strings.Builder
	for _, s := range w.steps {
		fmt.Fprintf(&b, "%s(%s) ", s.Kind, s.Detail)
	}

	w.steps = nil

	return b.String()
}

// settle waits until each file is taken down as sent, and returns all that was
// seen until then: the end is told after the last byte is on its way, which may
// be here before the word of it.
func (w *world) settle(files ...string) string {
	w.t.Helper()

	seen := w.seen()

	for _, file := range files {
		end := time.Now().Add(10 * time.Second)

		for ; !strings.Contains(seen, "("+file+" sent in "); seen += w.seen() {
			if time.Now().After(end) {
				w.t.Fatalf("that %s was sent is not seen, but: %s", file, seen)
			}

			time.Sleep(time.Millisecond)
		}
	}

	return seen
}

func (w *world) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()

	return w.log.Write(b)
}

var loader = bytes.Repeat([]byte("0123456789"), 7000)

// big is more than any buffer on the way, and repeats nothing.
var big = func() []byte {
	b := make([]byte, 24<<20)
	for i := 0; i < len(b); i += 4 {
		binary.LittleEndian.PutUint32(b[i:], uint32(i)*2654435761)
	}

	return b
}()

// config is that of a server of the machines above.
func config(w *world) httpboot.Config {
	return httpboot.Config{
		Self: netip.MustParseAddr("10.77.0.1"), Cmdline: []string{"ras=cec_disable"}, Holder: w.holder, Settled: w.settled, Booter: w, Witness: w, Stub: ukitest.Stub(),
		Log: slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Files: map[string][]byte{
			"vmlinuz": []byte("kernel"), "base.cpio.zst": []byte("base"), "modules.cpio": []byte("modu"), "snponly.efi": loader, "empty.img": {},
			"big.img": big,
		},
	}
}

func serve(t *testing.T, overlays ...httpboot.Overlays) *world {
	t.Helper()

	w := &world{t: t}

	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	w.addr = ln.Addr().String()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	w.end = cancel

	c := config(w)
	if len(overlays) > 0 {
		c.Overlays = overlays[0]
	}

	w.server = httpboot.New(c)

	go func() { ended <- w.server.Serve(ctx, ln) }()

	t.Cleanup(func() {
		cancel()

		if err := <-ended; err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})

	return w
}

// dial connects as a machine.
func (w *world) dial(machine string) net.Conn {
	w.t.Helper()

	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(machine)}}

	conn, err := dialer.Dial("tcp4", w.addr)
	if err != nil {
		w.t.Fatal(err)
	}

	w.t.Cleanup(func() { _ = conn.Close() })

	return conn
}

// reply is what a machine hears.
type reply struct {
	*http.Response

	body string
}

// say sends text as it is and reads the answer, to a request of a method.
func (w *world) say(conn net.Conn, method, text string) reply {
	w.t.Helper()

	if _, err := io.WriteString(conn, text); err != nil {
		w.t.Fatal(err)
	}

	r, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		w.t.Fatalf("%q is answered with %v", text, err)
	}

	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.t.Fatal(err)
	}

	return reply{r, string(body)}
}

// ask sends a request, with header lines.
func (w *world) ask(machine, method, path string, header ...string) reply {
	w.t.Helper()

	text := method + " " + path + " HTTP/1.1\r\nHost: 10.77.0.1\r\n"
	for _, h := range header {
		text += h + "\r\n"
	}

	return w.say(w.dial(machine), method, text+"\r\n")
}

func TestAFileWholeAndInParts(t *testing.T) {
	w := serve(t)

	whole := w.ask(vetted, "GET", "/boot/snponly.efi")
	etag := whole.Header.Get("ETag")

	if whole.StatusCode != 200 || whole.body != string(loader) || whole.Header.Get("Content-Type") != "application/efi" ||
		whole.Header.Get("Accept-Ranges") != "bytes" || len(etag) != 34 {
		t.Fatalf("answered %d with %d bytes, header %v", whole.StatusCode, len(whole.body), whole.Header)
	}

	for name, c := range map[string]struct {
		method string
		header []string
		status int
		body   string
		ranges string
	}{
		"a part":                               {"GET", []string{"Range: bytes=2-5"}, 206, "2345", "bytes 2-5/70000"},
		"all from somewhere":                   {"GET", []string{"Range: bytes=69998-"}, 206, "89", "bytes 69998-69999/70000"},
		"the end":                              {"GET", []string{"Range: bytes=-3"}, 206, "789", "bytes 69997-69999/70000"},
		"more than there is, to the end":       {"GET", []string{"Range: bytes=69999-80000"}, 206, "9", "bytes 69999-69999/70000"},
		"more than there is, from the end":     {"GET", []string{"Range: bytes=-99999"}, 206, string(loader), "bytes 0-69999/70000"},
		"beyond the end":                       {"GET", []string{"Range: bytes=70000-"}, 416, "the file is shorter than that\n", "bytes */70000"},
		"the last nothing":                     {"GET", []string{"Range: bytes=-0"}, 416, "the file is shorter than that\n", "bytes */70000"},
		"several parts, which is the whole":    {"GET", []string{"Range: bytes=0-1,4-5"}, 200, string(loader), ""},
		"a part in other units":                {"GET", []string{"Range: lines=0-1"}, 200, string(loader), ""},
		"a part that runs backwards":           {"GET", []string{"Range: bytes=5-2"}, 200, string(loader), ""},
		"no part at all":                       {"GET", []string{"Range: bytes=x"}, 200, string(loader), ""},
		"what it has already":                  {"GET", []string{"If-None-Match: " + etag}, 304, "", ""},
		"what it has already, of several":      {"GET", []string{`If-None-Match: "x", ` + etag}, 304, "", ""},
		"what has changed":                     {"GET", []string{`If-None-Match: "x"`}, 200, string(loader), ""},
		"a part of what it has begun":          {"GET", []string{"Range: bytes=2-5", "If-Range: " + etag}, 206, "2345", "bytes 2-5/70000"},
		"a part of what has changed meanwhile": {"GET", []string{"Range: bytes=2-5", `If-Range: "x"`}, 200, string(loader), ""},
		"how long it is":                       {"HEAD", nil, 200, "", ""},
		"how long a part is":                   {"HEAD", []string{"Range: bytes=2-5"}, 206, "", "bytes 2-5/70000"},
	} {
		t.Run(name, func(t *testing.T) {
			r := w.ask(vetted, c.method, "/boot/snponly.efi", c.header...)
			if r.StatusCode != c.status || r.body != c.body || r.Header.Get("Content-Range") != c.ranges {
				t.Errorf("answered %d with %d bytes, range %q", r.StatusCode, len(r.body), r.Header.Get("Content-Range"))
			}

			want := int64(len(c.body))
			if c.method == "HEAD" {
				want = map[int]int64{200: int64(len(loader)), 206: 4}[c.status]
			}

			if c.status != 304 && r.ContentLength != want {
				t.Errorf("length %d, want %d", r.ContentLength, want)
			}
		})
	}

	if r := w.ask(vetted, "GET", "/boot/empty.img"); r.StatusCode != 200 || r.body != "" || r.ContentLength != 0 || r.Header.Get("Content-Type") != "application/vnd.efi-img" {
		t.Errorf("an empty file: %d, %q, %v", r.StatusCode, r.body, r.Header)
	}
}

// Firmware writes paths in its own ways, and follows no redirect.
func TestPathsAreCleanedAndNeverRedirected(t *testing.T) {
	w := serve(t)

	for path, status := range map[string]int{
		"//boot/snponly.efi": 200, "/boot//snponly.efi": 200, "/boot/./snponly.efi": 200, "/boot/x/../snponly.efi": 200,
		"/boot/snponly%2eefi": 200, "/%62oot/snponly.efi": 200, "/boot/snponly.efi?mac=52:54": 200, "http://10.77.0.1/boot/snponly.efi": 200,
		"/../boot/snponly.efi": 200, "/boot/snponly.efi#x": 200,
		"/boot": 404, "/boot/": 404, "/": 404, "/boot/snponly.efi/": 404, "/boot/../../etc/passwd": 404, "/boot/%2e%2e/%2e%2e/etc/passwd": 404,
		"/snponly.efi": 404, "/boot/no-boot": 404, "/boot/SNPONLY.EFI": 404, "/favicon.ico": 404, "/ipxe/": 404, "/ipxe/not-a-mac": 404, "/ipxe": 404,
		"/seed": 404, "/seed/": 404, "/seed/.cpio": 404, "/seed/x": 404, "/autoexec.ipxe": 200, "/boot/autoexec.ipxe": 200,
	} {
		if r := w.ask(vetted, "GET", path); r.StatusCode != status || r.Header.Get("Location") != "" {
			t.Errorf("%s is answered %d (%s), want %d", path, r.StatusCode, r.Header.Get("Location"), status)
		}
	}
}

func TestOnlyGETAndHEADAreUnderstood(t *testing.T) {
	w := serve(t)

	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND"} {
		if r := w.ask(vetted, method, "/boot/snponly.efi", "Content-Length: 0"); r.StatusCode != 405 || r.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s is answered %d, allowed %q", method, r.StatusCode, r.Header.Get("Allow"))
		}
	}
}

func TestMalformedRequestsAreRefusedAndTheNextIsServed(t *testing.T) {
	w := serve(t)

	for name, c := range map[string]struct {
		text   string
		status int
	}{
		"no HTTP":                      {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n", 400},
		"a method alone":               {"GET\r\n\r\n", 400},
		"a header without a colon":     {"GET / HTTP/1.1\r\nnonsense\r\n\r\n", 400},
		"a length that is no number":   {"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", 400},
		"an endless header":            {"GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 10_000) + "\r\n\r\n", 431},
		"an endless path":              {"GET /" + strings.Repeat("x", 10_000) + " HTTP/1.1\r\n\r\n", 431},
		"a body of more than it takes": {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n" + strings.Repeat("x", 5000), 413},
	} {
		t.Run(name, func(t *testing.T) {
			if r := w.say(w.dial(vetted), "GET", c.text); r.StatusCode != c.status || r.body == "" {
				t.Errorf("answered %d %q, want %d", r.StatusCode, r.body, c.status)
			}
		})
	}

	w.mu.Lock()
	told := strings.Count(w.log.String(), "code=netboot/http-malformed")
	w.mu.Unlock()

	if told == 0 {
		t.Error("the log says nothing of it")
	}

	if r := w.ask(vetted, "GET", "/boot/vmlinuz"); r.StatusCode != 200 || r.body != "kernel" {
		t.Errorf("a good request after them is answered %d", r.StatusCode)
	}
}

// What firmware leaves out or writes oddly: no Host, a bad one, HTTP/1.0.
func TestWhatFirmwareSendsIsForgiven(t *testing.T) {
	w := serve(t)

	for name, text := range map[string]string{
		"no Host":             "GET /boot/vmlinuz HTTP/1.1\r\n\r\n",
		"an empty Host":       "GET /boot/vmlinuz HTTP/1.1\r\nHost:\r\n\r\n",
		"HTTP/1.0":            "GET /boot/vmlinuz HTTP/1.0\r\n\r\n",
		"a Host with a space": "GET /boot/vmlinuz HTTP/1.1\r\nHost: 10.77.0.1 \r\n\r\n",
	} {
		if r := w.say(w.dial(vetted), "GET", text); r.StatusCode != 200 || r.body != "kernel" {
			t.Errorf("%s is answered %d %q", name, r.StatusCode, r.body)
		}
	}
}

// UEFI asks HEAD first and breaks when the connection is gone for its GET
// (edk2 #9920), and so after an answer of 404.
func TestTheConnectionStaysOpen(t *testing.T) {
	w := serve(t)
	conn := w.dial(vetted)

	for range 2 {
		for _, c := range []struct {
			method, path string
			status       int
		}{{"HEAD", "/boot/snponly.efi", 200}, {"GET", "/boot/nothing", 404}, {"GET", "/boot/snponly.efi", 200}, {"POST", "/", 405}, {"GET", "/ipxe/52:54:00:00:00:01", 200}} {
			r := w.say(conn, c.method, c.method+" "+c.path+" HTTP/1.1\r\nHost: 10.77.0.1\r\nUser-Agent: UefiHttpBoot/1.0\r\nContent-Length: 0\r\n\r\n")
			if r.StatusCode != c.status || r.Close {
				t.Errorf("%s %s is answered %d, closing %t", c.method, c.path, r.StatusCode, r.Close)
			}
		}
	}
}

// recorded returns requests of real clients, by name.
func recorded(t testing.TB) map[string]string {
	t.Helper()

	names, err := filepath.Glob("testdata/requests/*.bin")
	if err != nil || len(names) < 25 {
		t.Fatalf("found %d recorded requests (%v)", len(names), err)
	}

	all := map[string]string{}

	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}

		all[strings.TrimSuffix(filepath.Base(name), ".bin")] = string(text)
	}

	return all
}

func TestRecordedRequestsAreServed(t *testing.T) {
	w := serve(t)

	for name, text := range recorded(t) {
		method, rest, _ := strings.Cut(text, " ")
		path, _, _ := strings.Cut(rest, " ")

		r := w.say(w.dial(vetted), method, text)
		want := 200

		switch {
		case strings.Contains(text, "\r\nRange: "):
			want = 206
		case !strings.HasSuffix(path, "snponly.efi") && !strings.HasPrefix(path, "/ipxe/") && !strings.HasSuffix(path, "autoexec.ipxe") &&
			!strings.HasPrefix(path, "/seed/"):
			want = 404 // another image's content address
		}

		if r.StatusCode != want {
			t.Errorf("%s: %s %s is answered %d, want %d", name, method, path, r.StatusCode, want)
		}
	}
}

func TestStrangersAndIdleMachinesGetNoFiles(t *testing.T) {
	w := serve(t)

	for path, status := range map[string][2]int{ // of a stranger, of an idle machine
		"/boot/vmlinuz": {403, 404}, "/boot/snponly.efi": {403, 404}, "/autoexec.ipxe": {403, 200}, "/boot/no-boot": {403, 404},
		"/seed/self.cpio": {403, 404}, "/seed/abcdef.cpio": {403, 404}, "/": {403, 404},
	} {
		for i, machine := range []string{stranger, idle} {
			if r := w.ask(machine, "GET", path); r.StatusCode != status[i] || strings.Contains(r.body, "kernel") {
				t.Errorf("%s to %s is answered %d %q", path, machine, r.StatusCode, r.body)
			}
		}
	}

	w.settle("autoexec.ipxe")

	for machine, step := range map[string]string{stranger: "sighting(asked for a boot script) ", idle: "script(local) "} {
		w.seen()

		r := w.ask(machine, "GET", "/ipxe/52:54:00:00:00:01")
		if r.StatusCode != 200 || !strings.HasPrefix(r.body, "#!ipxe\n") || strings.Contains(r.body, "seed") || strings.Contains(r.body, "vmlinuz") {
			t.Errorf("to %s the script is answered %d %q", machine, r.StatusCode, r.body)
		}

		if seen := w.seen(); seen != step {
			t.Errorf("seen of %s: %q", machine, seen)
		}
	}
}

// A machine on which the image does not run is not made to load it five times in vain.
func TestAMachineOfAnotherProcessorIsSentHomeWithTheReason(t *testing.T) {
	w := serve(t)

	script := w.ask(foreign, "GET", "/ipxe/52-54-00-00-00-01")
	if !strings.Contains(script.body, "echo vetting: the live image is for x86-64 and does not run on this machine: arm64\n") || strings.Contains(script.body, "kernel") || w.armed > 0 {
		t.Errorf("it is told\n%s", script.body)
	}

	if seen := w.seen(); seen != "script(local, since the live image does not run on arm64) " {
		t.Errorf("seen %s", seen)
	}
}

func TestTheScriptOfARunLoadsWhatIsThere(t *testing.T) {
	w := serve(t)
	script := w.ask(vetted, "GET", "/ipxe/52-54-00-00-00-01")
	if !strings.Contains(script.body, " ras=cec_disable memtest=4\n") && !strings.Contains(script.body, " ras=cec_disable memtest=4 &&") {
		t.Errorf("the kernel is not told what the profile wants:\n%s", script.body)
	}

	if script.Header.Get("Cache-Control") != "no-store" || script.Header.Get("Content-Type") != "text/plain" || w.seen() != "script(01RUN) " {
		t.Errorf("header %v", script.Header)
	}

	bodies := map[string]string{"vmlinuz": "kernel", "base.cpio.zst": "base", "modules.cpio": "modu"}
	loaded := 0

	for _, word := range strings.Fields(script.body) {
		path, ok := strings.CutPrefix(word, "${base}")
		if !ok || strings.HasPrefix(path, "/ipxe/failed/") {
			continue
		}

		loaded++

		r := w.ask(vetted, "GET", path)
		if want, named := bodies[filepath.Base(path)]; r.StatusCode != 200 || named && r.body != want {
			t.Errorf("%s is answered %d %q", path, r.StatusCode, r.body)
		}
	}

	if loaded != 4 {
		t.Errorf("the script loads %d files:\n%s", loaded, script.body)
	}

	w.settle("vmlinuz", "base.cpio.zst", "modules.cpio")

	t.Run("not for a HEAD, which arms nothing", func(t *testing.T) {
		w.seen()

		if r := w.ask(vetted, "HEAD", "/ipxe/52:54:00:00:00:01"); r.StatusCode != 200 || w.seen() != "script(local) " {
			t.Errorf("answered %d", r.StatusCode)
		}
	})

	t.Run("to the machine whose lease it is, whatever it asks for", func(t *testing.T) {
		if r := w.ask(vetted, "GET", "/ipxe/52%3A54%3A00%3A00%3A00%3A99"); !strings.Contains(r.body, "BOOTIF=01-52-54-00-00-00-01") {
			t.Errorf("got\n%s", r.body)
		}
	})

	t.Run("and home when the run cannot be armed", func(t *testing.T) {
		w.fail(errors.New("disk full"))
		w.seen()

		if r := w.ask(vetted, "GET", "/ipxe/52:54:00:00:00:01"); r.StatusCode != 200 || strings.Contains(r.body, "vmlinuz") ||
			w.seen() != "script(local, since the run could not be armed) " {
			t.Errorf("answered %d %q", r.StatusCode, r.body)
		}
	})

	t.Run("and takes down when iPXE gives up", func(t *testing.T) {
		w.seen()

		if r := w.ask(vetted, "GET", "/ipxe/failed/52:54:00:00:00:01"); r.StatusCode != 200 || !strings.Contains(w.seen(), "boot-failed(") {
			t.Errorf("answered %d", r.StatusCode)
		}

		w.ask(stranger, "GET", "/ipxe/failed/52:54:00:00:00:01")

		if seen := w.seen(); seen != "" {
			t.Errorf("a stranger's failure is seen: %s", seen)
		}
	})
}

func TestASeedIsGivenOrTheReasonWhyNot(t *testing.T) {
	w := serve(t)

	for _, c := range []struct {
		fault  error
		status int
		seen   string
	}{
		{nil, 200, "seed() "},
		{core.ErrNotFound, 404, "seed-refused(no run waits for this) "},
		{core.ErrRefused, 403, "seed-refused(this seed is for another machine) "},
		{core.ErrExpired, 410, "seed-refused(this seed was used or is too old; boot again) "},
		{core.ErrTooOften, 410, "seed-refused(this seed was asked for too often; boot again) "},
		{errors.New("disk full"), 503, "seed-refused(the seed cannot be given now; ask again) "},
	} {
		w.fail(c.fault)
		w.seen()

		r := w.ask(vetted, "GET", "/seed/abcdef.cpio")
		if r.StatusCode != c.status || r.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%v is answered %d, header %v", c.fault, r.StatusCode, r.Header)
		}

		if seen := w.seen(); seen != c.seen {
			t.Errorf("%v: seen %q, want %q", c.fault, seen, c.seen)
		}

		if c.fault == nil && (!strings.HasPrefix(r.body, "070701") || !strings.Contains(r.body, "for abcdef")) {
			t.Errorf("seed %q", r.body)
		}
	}

	w.fail(nil)
	w.seen()

	if r := w.ask(vetted, "HEAD", "/seed/abcdef.cpio"); r.StatusCode != 200 || r.ContentLength <= 0 || w.seen() != "" || w.heads != 1 {
		t.Errorf("a HEAD is answered %d, length %d", r.StatusCode, r.ContentLength)
	}

	// Whose it is says the address, and not the ledger of leases: beside another DHCP
	// server we have granted none.
	if r := w.ask(vetted, "GET", "/seed/self.cpio"); !strings.Contains(r.body, "of "+string(vettedMAC)) {
		t.Errorf("for itself it got %q", r.body)
	}
}

// A machine that has the address which is set apart for it gets its own seed without a
// lease, and nothing else. The run is armed anew once its token was used, and not before: a
// request more makes no token void.
func TestASeedWithoutALease(t *testing.T) {
	w := serve(t)

	for range 2 {
		if r := w.ask(settled, "GET", "/seed/self.cpio"); r.StatusCode != 200 || !strings.Contains(r.body, "of 52:54:") || w.armed != 0 {
			t.Errorf("it is answered %d, armed %d times: %q", r.StatusCode, w.armed, r.body)
		}
	}

	for i := range 2 {
		w.spend()

		if r := w.ask(settled, "GET", "/seed/self.cpio"); r.StatusCode != 200 || !strings.Contains(r.body, "for abcdef") || w.armed != i+1 {
			t.Errorf("in another boot it is answered %d, armed %d times: %q", r.StatusCode, w.armed, r.body)
		}
	}

	w.fail(core.ErrTooOften)

	if r := w.ask(settled, "GET", "/seed/self.cpio"); r.StatusCode != 410 || w.armed != 2 {
		t.Errorf("asked for too often it is answered %d, armed %d times", r.StatusCode, w.armed)
	}

	w.fail(nil)
	w.spend()

	if r := w.ask(settled, "HEAD", "/seed/self.cpio"); r.StatusCode != 410 || w.armed != 2 {
		t.Errorf("a look is answered %d, armed %d times", r.StatusCode, w.armed)
	}

	for _, path := range []string{"/seed/abcdef.cpio", "/boot/vmlinuz", "/ipxe/52:54:00:00:00:01"} {
		if r := w.ask(settled, "GET", path); strings.Contains(r.body, "abcdef") || strings.Contains(r.body, "kernel") {
			t.Errorf("it gets %s: %q", path, r.body)
		}
	}

	if r := w.ask(stranger, "GET", "/seed/self.cpio"); r.StatusCode != 403 || w.armed != 2 {
		t.Errorf("another one is answered %d", r.StatusCode)
	}

	w.fail(core.ErrConflict)

	if r := w.ask(settled, "GET", "/seed/self.cpio"); r.StatusCode == 200 {
		t.Error("it is given a seed for which there is no token")
	}
}

// The firmware goes on to its own disk then, and nobody else says so. Of strangers nothing is
// taken down.
func TestTheFileThatIsNotThereIsSeen(t *testing.T) {
	w := serve(t)

	w.ask(stranger, "GET", "/boot/no-boot")
	w.ask(idle, "GET", "/boot/nothing")

	if seen := w.seen(); seen != "" {
		t.Errorf("seen: %s", seen)
	}

	for _, method := range []string{"HEAD", "GET"} {
		if r := w.ask(idle, method, "/boot/no-boot"); r.StatusCode != 404 {
			t.Errorf("%s is answered %d", method, r.StatusCode)
		}

		if seen := w.seen(); seen != "http-missing(no-boot) " {
			t.Errorf("of %s is seen: %s", method, seen)
		}
	}
}

func TestProgressIsSeen(t *testing.T) {
	w := serve(t)
	w.ask(vetted, "GET", "/boot/vmlinuz")

	if seen := w.settle("vmlinuz"); !strings.HasPrefix(seen, "kernel(vmlinuz begun) ") {
		t.Errorf("seen %q", seen)
	}

	w.ask(vetted, "GET", "/boot/base.cpio.zst", "Range: bytes=0-1")

	if seen := w.seen(); !strings.HasPrefix(seen, "initrd(base.cpio.zst begun) ") {
		t.Errorf("seen %q", seen)
	}
}

func TestOneMachineCannotTakeAllConnections(t *testing.T) {
	w := serve(t)

	for range 64 {
		conn := w.dial(idle)
		if r := w.say(conn, "GET", "GET / HTTP/1.1\r\n\r\n"); r.StatusCode != 404 {
			t.Fatalf("answered %d", r.StatusCode)
		}
	}

	if _, err := w.dial(idle).Read(make([]byte, 1)); !errors.Is(err, io.EOF) && err == nil {
		t.Errorf("the 65th connection reads %v", err)
	}

	if r := w.ask(vetted, "GET", "/boot/vmlinuz"); r.StatusCode != 200 {
		t.Errorf("another machine is answered %d", r.StatusCode)
	}
}

// FuzzParseRange: what is to be sent lies within the file.
func FuzzParseRange(f *testing.F) {
	for _, s := range []string{"bytes=2-5", "bytes=2-", "bytes=-5", "bytes=-0", "bytes=0-1,2-3", "bytes=18446744073709551615-", "bytes=0-4611686018427387903", " bytes= 1 - 2 "} {
		f.Add(s, 10)
	}

	f.Fuzz(func(t *testing.T, header string, size int) {
		if size < 0 {
			return
		}

		span, kind := httpboot.ParseRange(header, size)
		if kind == httpboot.Part && (span.Low < 0 || span.Low >= span.High || span.High > size) {
			t.Errorf("%q of %d bytes is %+v", header, size, span)
		}

		if kind != httpboot.Part && span != (httpboot.Span{}) {
			t.Errorf("%q of %d bytes is %d with %+v", header, size, kind, span)
		}

		// As the standard library's server would have it, where both understand it.
		if kind == httpboot.Part {
			if first, _, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(header), "bytes="), "-"); ok && first != "" {
				if low, err := strconv.Atoi(strings.TrimSpace(first)); err == nil && low != span.Low {
					t.Errorf("%q begins at %d", header, span.Low)
				}
			}
		}
	})
}
