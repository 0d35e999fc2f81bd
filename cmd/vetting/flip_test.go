package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
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

	"vetting/core"
	"vetting/core/problem"
	"vetting/initramfs"
	"vetting/store"
)

const (
	onDamageName = "vetting-on-damage"       // the process that is started on a changed ledger
	flipsVar     = "VETTING_APPLIANCE_FLIPS" // how many bytes are changed, one at a time; a few without it
)

// onDamage is the appliance as serve starts it, but for the test NIC. Its arguments
// are the data directory and the address of the console; a third one asks for an
// operator's token.
func onDamage() {
	if err := startOn(context.Background(), os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "refused:", err)
		os.Exit(1)
	}
}

func startOn(ctx context.Context, dir, console string) error {
	config := Defaults()
	config.DataDir, config.Console.Listen = dir, console

	a, err := newAppliance(config, nil, &initramfs.Image{ID: "none"}, os.Stdout, io.Discard)
	if err != nil {
		return err
	}

	if err := a.openStore(ctx); err != nil {
		return a.outOfOrder(ctx, err)
	}

	if err := a.open(ctx, a.openIdentity, a.openEngine, a.openUpkeep, a.openConsole); err != nil {
		return err
	}

	if len(os.Args) > 3 {
		if err := letIn(ctx, a); err != nil {
			return err
		}
	}

	return a.together(ctx, a.common())
}

// One byte is changed anywhere in the ledger of an appliance, and it is started on
// that, twice. It must come up both times: as it was, with all that it acknowledged,
// or with a console that says what is wrong and what to do.
func TestAFlippedByteIsToldByTheAppliance(t *testing.T) {
	flips := 4
	if text := os.Getenv(flipsVar); text != "" {
		var err error
		if flips, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}

	closed, killed := t.TempDir(), t.TempDir()
	t.Run("fill", func(t *testing.T) { vetInto(t, closed, killed) })

	want := map[string]string{closed: holds(t, copied(t, closed)), killed: holds(t, copied(t, killed))}
	chance := rand.New(rand.NewPCG(20261128, 3))
	came := map[string]int{}

	for n := range flips {
		from := []string{closed, killed}[n%2]
		dir := copied(t, from)
		what := flipIn(t, filepath.Join(dir, ledgerDir), chance)

		first, told := startsOn(t, dir)
		again, _ := startsOn(t, dir)

		if first != again {
			t.Errorf("%s: it was %s, and on the next start %s", what, first, again)
		}

		if first == "in order" && holds(t, dir) != want[from] {
			t.Errorf("%s: the appliance is in order, and what it held is not there", what)
		}

		t.Logf("%s: %s: %s", what, first, told)

		came[first]++
	}

	t.Logf("%d changed bytes: %v", flips, came)
}

// vetInto has a stranger's machine vetted by an appliance whose ledger is in closed,
// and leaves the image of a kill at the end of the run in killed.
func vetInto(t *testing.T, closed, killed string) {
	t.Helper()

	a, agents := withAgentsIn(t, closed, nil)
	s := atDesk(t, a, agents)
	s.start(1)

	agent, claimed := s.claims(1, "boot-1")
	if _, err := agent.Work(t.Context(), claimed); err != nil {
		t.Fatal(err)
	}

	copyDir(t, closed, killed)
}

// startsOn starts the appliance on a directory and says how it came up: "in order",
// or the code of what is wrong and the words for it. It kills it then.
func startsOn(t *testing.T, dir string) (state, told string) {
	t.Helper()

	var said safeWords

	console := freeAddress(t)
	child := &exec.Cmd{
		Path: "/proc/self/exe", Args: []string{onDamageName, dir, console}, Stdout: &said, Stderr: &said,
		SysProcAttr: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL},
	}

	if err := child.Start(); err != nil {
		t.Fatal(err)
	}

	ended := make(chan struct{})

	go func() {
		_ = child.Wait()
		close(ended)
	}()

	defer func() {
		_ = child.Process.Kill()
		<-ended
	}()

	for {
		select {
		case <-ended:
			t.Errorf("the appliance ended by itself, %s; it would be started again and again:\n%s", child.ProcessState, said.String())

			return "dead", said.String()
		case <-time.After(10 * time.Millisecond):
		}

		if answers(t, console) {
			break
		}
	}

	return asked(t, "https://"+console)
}

// answers reports whether somebody listens at an address.
func answers(t *testing.T, address string) bool {
	t.Helper()

	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp4", address)
	if err == nil {
		_ = conn.Close()
	}

	return err == nil
}

// asked looks at the console of an appliance as a monitor and a person do.
func asked(t *testing.T, base string) (state, told string) {
	t.Helper()

	if code, _ := fetch(t, base+"/healthz"); code != http.StatusOK {
		t.Errorf("/healthz answers %d", code)
	}

	code, body := fetch(t, base+"/api/v1/hosts")
	if code == http.StatusUnauthorized {
		return "in order", ""
	}

	var fault struct {
		Error struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}

	err := json.Unmarshal([]byte(body), &fault)
	entry, known := problem.Lookup(fault.Error.Code)
	_, page := fetch(t, base+"/")

	if err != nil || code != http.StatusServiceUnavailable || !known || len(fault.Error.Message) < 20 || !strings.Contains(page, fault.Error.Code) {
		t.Errorf("status %d, %q, %v; the page:\n%.1000s", code, body, err, page)
	}

	if entry.Next == "" {
		t.Errorf("%s: nothing says what to do", fault.Error.Code)
	}

	return fault.Error.Code, fault.Error.Message
}

// safeWords is what a process says, for whoever reads it meanwhile.
type safeWords struct {
	mu   sync.Mutex
	said bytes.Buffer
}

// Write takes everything.
func (s *safeWords) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.said.Write(p)
}

// String is all of it.
func (s *safeWords) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.said.String()
}

// flipIn changes one bit of a byte of a file, in the part that was ever written, and
// says where.
func flipIn(t *testing.T, dir string, chance *rand.Rand) string {
	t.Helper()

	type file struct {
		path string
		text []byte
	}

	var all []file

	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || d.Name() == "LOCK" { // which tells who uses it, and no more
			return err
		}

		text, err := os.ReadFile(path)
		if text = bytes.TrimRight(text, "\x00"); len(text) > 0 {
			all = append(all, file{path, text})
		}

		return err
	})
	if err != nil || len(all) == 0 {
		t.Fatal(err)
	}

	one := all[chance.IntN(len(all))]
	at := chance.Int64N(int64(len(one.text)))

	f, err := os.OpenFile(one.path, os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteAt([]byte{one.text[at] ^ 1<<chance.IntN(8)}, at)
		err = errors.Join(err, f.Close())
	}

	if err != nil {
		t.Fatal(err)
	}

	return fmt.Sprintf("byte %d of %s", at, filepath.Base(one.path))
}

// holds is a digest of what the appliance acknowledged in its one run, which is over.
func holds(t *testing.T, dir string) string {
	t.Helper()

	ledger, err := store.Open(t.Context(), store.Config{Dir: filepath.Join(dir, ledgerDir), Ballast: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer ledger.Close()

	sum := sha256.New()
	rows := 0

	err = ledger.View(t.Context(), func(r core.Reader) error {
		for _, table := range []core.Table{core.TableHost, core.TableRun, core.TableReport, core.TableSamples, core.TableArtifact, core.TableInventory} {
			err := r.Scan(table, core.Query{}, func(key string, decode func(any) error) error {
				var raw json.RawMessage

				err := decode(&raw)
				fmt.Fprintf(sum, "%s %s %s\n", table, key, raw)

				rows++

				return err
			})
			if err != nil {
				return err
			}
		}

		return nil
	})
	if err != nil || rows < 10 {
		t.Fatalf("%d rows, %v", rows, err)
	}

	return fmt.Sprintf("%x", sum.Sum(nil))
}

// copied is a copy of a data directory.
func copied(t *testing.T, from string) string {
	t.Helper()

	dir := t.TempDir()
	copyDir(t, from, dir)

	return dir
}

// copyDir copies files without the zeros at their ends, which in the logs of Badger
// are megabytes of holes.
func copyDir(t *testing.T, from, to string) {
	t.Helper()

	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}

		target := filepath.Join(to, strings.TrimPrefix(path, from))

		switch {
		case d.IsDir():
			return os.MkdirAll(target, 0o700)
		case !d.Type().IsRegular():
			return nil // a socket
		}

		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}

		return errors.Join(os.WriteFile(target, bytes.TrimRight(text, "\x00"), 0o600), os.Truncate(target, int64(len(text))))
	})
	if err != nil {
		t.Fatal(err)
	}
}
