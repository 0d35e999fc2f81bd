package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vetting/core"
	"vetting/initramfs"
	"vetting/store"
)

const looksForEverName = "vetting-looks-for-ever"

func TestAProcessThatDiesOfTheLedgerIsDamageToo(t *testing.T) {
	for name, test := range map[string]struct{ script, want string }{
		"by a signal":            {"echo unexpected fault address >&2; kill -BUS $$", "bus error): unexpected fault address"},
		"with words of no sense": {"echo whole", "exit status 0"},
		"without a word":         {"exit 3", "exit status 3"},
	} {
		err := examineBy(t.Context(), "/bin/sh", []string{"sh", "-c", test.script}, "/the/ledger")

		var p *core.Problem
		if !errors.Is(err, store.ErrDamaged) || !errors.As(err, &p) || p.Code != codeDamaged || !strings.Contains(p.Message, test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}

	for script, want := range map[string]error{
		`echo '{"whole": true}'`: nil,
		`echo '{"damaged": true, "code": "store/damaged", "message": "x"}'`: store.ErrDamaged,
		`echo '{"code": "store/locked", "message": "x"}'`:                   core.ErrConflict,
	} {
		if err := examineBy(t.Context(), "/bin/sh", []string{"sh", "-c", script}, "/the/ledger"); !errors.Is(err, want) {
			t.Errorf("%s: %v", script, err)
		}
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()

	if err := examineBy(ctx, "/bin/sh", []string{"sh", "-c", "while :; do :; done"}, "/the/ledger"); !errors.Is(err, context.Canceled) {
		t.Errorf("told to stop: %v", err)
	}
}

// A process that is killed lets go of the ledger a moment later.
func TestALedgerThatIsTakenIsWaitedForAWhile(t *testing.T) {
	dir := t.TempDir()

	ledger, err := store.Open(t.Context(), store.Config{Dir: dir, Ballast: -1})
	if err != nil {
		t.Fatal(err)
	}

	if p, ok := errors.AsType[*core.Problem](examine(t.Context(), dir)); !ok || p.Code != codeLocked {
		t.Errorf("while another has it: %v", p)
	}

	closed := make(chan error, 1)

	time.AfterFunc(300*time.Millisecond, func() { closed <- ledger.Close() })

	if err := errors.Join(examine(t.Context(), dir), <-closed); err != nil {
		t.Error(err)
	}
}

// looksForEver is a process that has a child look at something for a long time.
func looksForEver() {
	_, _, _, _ = runChild(context.Background(), "/bin/sh", []string{"sh", "-c", `echo $$ >"$0.new" && mv "$0.new" "$0" && exec sleep 600`, os.Args[1]})
}

func TestALookEndsWithWhoAskedForIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	asks := &exec.Cmd{Path: "/proc/self/exe", Args: []string{looksForEverName, path}}

	if err := asks.Start(); err != nil {
		t.Fatal(err)
	}

	every := time.NewTicker(10 * time.Millisecond)
	defer every.Stop()

	var pid []byte
	for ; len(pid) == 0; <-every.C {
		pid, _ = os.ReadFile(path)
	}

	if err := asks.Process.Kill(); err != nil {
		t.Fatal(err)
	}

	_ = asks.Wait()

	// Gone, or dead and not yet taken down by whoever is its parent now.
	deadline := time.Now().Add(30 * time.Second)

	for lives := true; lives; <-every.C {
		stat, err := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/stat")
		lives = err == nil && !strings.Contains(string(stat), ") Z")

		if time.Now().After(deadline) {
			t.Fatalf("process %s outlives who asked for it", pid)
		}
	}
}

// damage writes over the beginning of the ledger's manifest.
func damage(t *testing.T, dir string) {
	t.Helper()

	file, err := os.OpenFile(filepath.Join(dir, ledgerDir, "ledger", "MANIFEST"), os.O_WRONLY, 0)
	if err == nil {
		_, err = file.WriteAt([]byte("junk"), 0)
		err = errors.Join(err, file.Close())
	}

	if err != nil {
		t.Fatal(err)
	}
}

// With a damaged ledger the console opens all the same, on its port, and says what
// is wrong; it goes on until it is told to end, and ends well.
func TestADamagedLedgerIsToldByTheConsole(t *testing.T) {
	dir := t.TempDir()

	ledger, err := store.Open(t.Context(), store.Config{Dir: filepath.Join(dir, ledgerDir)})
	if err == nil {
		err = ledger.Close()
	}

	if err != nil {
		t.Fatal(err)
	}

	damage(t, dir)

	config := Defaults()
	config.DataDir, config.Console.Listen = dir, freeAddress(t)

	a, err := newAppliance(config, nil, &initramfs.Image{}, t.Output(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)

	go func() { ended <- a.outOfOrder(ctx, a.openStore(ctx)) }()

	awaitAddress(t, config.Console.Listen)

	base := "https://" + config.Console.Listen

	for path, want := range map[string]struct {
		code int
		text string
	}{
		"/readyz":       {http.StatusServiceUnavailable, codeDamaged},
		"/healthz":      {http.StatusOK, ""},
		"/":             {http.StatusServiceUnavailable, "restore the newest backup"},
		"/api/v1/hosts": {http.StatusServiceUnavailable, codeDamaged},
	} {
		if code, text := fetch(t, base+path); code != want.code || !strings.Contains(text, want.text) {
			t.Errorf("%s: status %d:\n%.500s", path, code, text)
		}
	}

	cancel()

	if err := <-ended; err != nil {
		t.Error(err)
	}

	if err := a.close(); err != nil {
		t.Error(err)
	}
}

func TestWhatIsNoFaultOfTheLedgerEndsTheAppliance(t *testing.T) {
	a, err := newAppliance(Defaults(), nil, &initramfs.Image{}, io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}

	for _, fault := range []error{errors.New("no such directory"), core.NewProblem(core.ErrConflict, codeLocked, "Another process uses it.")} {
		if err := a.outOfOrder(t.Context(), fault); !errors.Is(err, fault) {
			t.Errorf("%v for %v", err, fault)
		}
	}
}

// freeAddress is one that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()

	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	defer listener.Close()

	return listener.Addr().String()
}

func awaitAddress(t *testing.T, address string) {
	t.Helper()

	for every := time.Tick(5 * time.Millisecond); ; {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp4", address)
		if err == nil {
			_ = conn.Close()

			return
		}

		select {
		case <-every:
		case <-t.Context().Done():
			t.Fatal(err)
		}
	}
}
