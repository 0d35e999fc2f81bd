package initd_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"vetting/agent/initd"
)

const manifest = `{"version":1,"kernel":"6.12.0","files":[{"path":"/init","size":4},{"path":"lib/modules/a.ko.xz","size":3}]}`

// image is a boot image that is whole.
func image() fstest.MapFS {
	return fstest.MapFS{
		initd.ManifestPath: {Data: []byte(manifest)}, "init": {Data: []byte("init")}, "lib/modules/a.ko.xz": {Data: []byte("mod")},
	}
}

func TestCheckImage(t *testing.T) {
	sum := sha256.Sum256([]byte(manifest))

	m, id, err := initd.CheckImage(image())
	if err != nil || m.Kernel != "6.12.0" || len(m.Files) != 2 || id != hex.EncodeToString(sum[:]) {
		t.Errorf("%+v %s %v", m, id, err)
	}

	for name, c := range map[string]struct {
		change    func(fstest.MapFS)
		truncated bool
		says      string
	}{
		"no manifest":        {func(i fstest.MapFS) { delete(i, initd.ManifestPath) }, true, "no manifest"},
		"half a manifest":    {func(i fstest.MapFS) { i[initd.ManifestPath].Data = []byte(manifest[:50]) }, true, "cut off"},
		"an empty manifest":  {func(i fstest.MapFS) { i[initd.ManifestPath].Data = nil }, true, "cut off"},
		"a huge manifest":    {func(i fstest.MapFS) { i[initd.ManifestPath].Data = make([]byte, 5<<20) }, false, "too many"},
		"a newer manifest":   {func(i fstest.MapFS) { i[initd.ManifestPath].Data = []byte(`{"version":2}`) }, false, "version 2"},
		"a file is missing":  {func(i fstest.MapFS) { delete(i, "lib/modules/a.ko.xz") }, true, "1 of 2 files are missing or cut, first lib/modules/a.ko.xz is missing"},
		"a file is cut":      {func(i fstest.MapFS) { i["init"].Data = []byte("ini") }, true, "first /init has 3 of 4 bytes"},
		"both are missing":   {func(i fstest.MapFS) { delete(i, "init"); delete(i, "lib/modules/a.ko.xz") }, true, "2 of 2"},
		"a file is a folder": {func(i fstest.MapFS) { delete(i, "init"); i["init/x"] = &fstest.MapFile{} }, true, "/init is not a file"},
		"a file is a pipe":   {func(i fstest.MapFS) { i["init"].Mode = fs.ModeNamedPipe }, true, "/init is not a file"},
		"a path leading away": {func(i fstest.MapFS) {
			i[initd.ManifestPath].Data = []byte(`{"version":1,"files":[{"path":"../etc/passwd","size":1}]}`)
		}, true, "is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			root := image()
			c.change(root)

			_, id, err := initd.CheckImage(root)
			if err == nil || errors.Is(err, initd.ErrTruncated) != c.truncated || !strings.Contains(err.Error(), c.says) || id != "" {
				t.Errorf("%q %v", id, err)
			}
		})
	}
}

func sumOf(b []byte) string {
	sum := sha256.Sum256(b)

	return hex.EncodeToString(sum[:])
}

// A file that has changed on its way and kept its length passes every other check.
func TestAnAlteredFileIsFound(t *testing.T) {
	root := image()
	root[initd.ManifestPath].Data = fmt.Appendf(nil, `{"version":1,"kernel":"6.12.0","files":[{"path":"/init","size":4,"sha256":%q},{"path":"lib/modules/a.ko.xz","size":3,"sha256":%q}]}`,
		sumOf([]byte("init")), sumOf([]byte("mod")))

	m, _, err := initd.CheckImage(root)
	if err != nil {
		t.Fatal(err)
	}

	if err := initd.CheckContent(t.Context(), root, m); err != nil {
		t.Errorf("of a whole image: %v", err)
	}

	root["lib/modules/a.ko.xz"].Data = []byte("mOd")

	if err := initd.CheckContent(t.Context(), root, m); !errors.Is(err, initd.ErrAltered) || !strings.Contains(err.Error(), "lib/modules/a.ko.xz has changed") {
		t.Errorf("of an altered one: %v", err)
	}

	delete(root, "init")

	if err := initd.CheckContent(t.Context(), root, m); err == nil {
		t.Error("of one that lacks a file: no error")
	}

	ended, cancel := context.WithCancel(t.Context())
	cancel()

	if err := initd.CheckContent(ended, root, m); !errors.Is(err, context.Canceled) {
		t.Errorf("when it is to end: %v", err)
	}
}

func TestAnotherImageThanTheOneOfferedIsRefused(t *testing.T) {
	for _, c := range []struct {
		told string
		same bool
	}{{"", true}, {"aa", true}, {"bb", false}, {"aaa", false}} {
		if err := initd.SameImage("aa", c.told); (err == nil) != c.same || err != nil && !errors.Is(err, initd.ErrAltered) {
			t.Errorf("told %q: %v", c.told, err)
		}
	}
}

// FuzzManifest: any bytes in the manifest's place are an image or an error.
func FuzzManifest(f *testing.F) {
	f.Add([]byte(manifest))
	f.Add([]byte(`{"version":1,"files":[{"path":"","size":-1}]}`))

	f.Fuzz(func(t *testing.T, text []byte) {
		root := image()
		root[initd.ManifestPath].Data = text

		if _, id, err := initd.CheckImage(root); (err == nil) != (len(id) == 64) {
			t.Errorf("%q %v", id, err)
		}
	})
}

// child is a supervised process that a test plays.
type child struct {
	mu      sync.Mutex      // a clock that script and supervisor wait for orders nothing
	starts  []time.Duration // when it was started
	trouble []string
	refuse  error
	deaths  chan initd.Death
}

// supervise runs a supervisor over a child that a script lets die. The script gets
// the pid of the child that runs.
func supervise(t *testing.T, script func(c *child)) *child {
	t.Helper()

	c := &child{deaths: make(chan initd.Death)}

	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		begin, done := time.Now(), make(chan error, 1)
		s := &initd.Supervisor{
			Log: slog.New(slog.DiscardHandler), Trouble: c.complain,
			Start: func() (int, error) {
				return 100 + c.started(time.Since(begin)), c.refuse
			},
		}
		c.deaths = make(chan initd.Death)

		go func() { done <- s.Watch(ctx, c.deaths) }()

		synctest.Wait()
		script(c)
		synctest.Wait()
		cancel()

		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("it ends with %v", err)
		}
	})

	return c
}

func (c *child) complain(why string) {
	c.mu.Lock()
	defer c.mu.Unlock()

	c.trouble = append(c.trouble, why)
}

// started notes a start, and returns how many there were.
func (c *child) started(at time.Duration) int {
	c.mu.Lock()
	defer c.mu.Unlock()

	c.starts = append(c.starts, at)

	return len(c.starts)
}

// lives is how often it was started.
func (c *child) lives() int {
	c.mu.Lock()
	defer c.mu.Unlock()

	return len(c.starts)
}

// die lets the running child end.
func (c *child) die(status syscall.WaitStatus) {
	c.deaths <- initd.NewDeath(100+c.lives(), status)
}

func exit(code int) syscall.WaitStatus { return syscall.WaitStatus(code << 8) }

// TestCrashes: a child that dies again and again is started again, after pauses
// that double, and after five deaths in a row a person is offered the shell, once.
func TestCrashes(t *testing.T) {
	c := supervise(t, func(c *child) {
		for i := range 9 {
			status := exit(2) // a panic
			if i%2 == 1 {
				status = syscall.WaitStatus(syscall.SIGKILL)
			}

			c.die(status)
			time.Sleep(40 * time.Second)
		}
	})

	var pauses []time.Duration
	for i := 1; i < len(c.starts); i++ {
		pauses = append(pauses, (c.starts[i]-c.starts[0])-time.Duration(i-1)*40*time.Second)
	}

	half := 500 * time.Millisecond
	want := []time.Duration{half, 2 * half, 4 * half, 8 * half, 16 * half, 32 * half, 30 * time.Second, 30 * time.Second, 30 * time.Second}

	if diff := cmp.Diff(want, pauses); diff != "" {
		t.Error(diff)
	}

	if !slices.Equal(c.trouble, []string{"the agent dies again and again"}) {
		t.Errorf("%v", c.trouble)
	}
}

// TestSteadyLife: a child that lived for a minute was well: the pause is short again.
func TestSteadyLife(t *testing.T) {
	var before int

	c := supervise(t, func(c *child) {
		for range 4 {
			c.die(exit(1))
			time.Sleep(10 * time.Second)
		}

		time.Sleep(time.Minute)

		before = c.lives()

		c.die(exit(1))
		time.Sleep(500 * time.Millisecond)
	})

	if len(c.starts) != before+1 || len(c.trouble) != 0 {
		t.Errorf("%d starts, then %d; %v", before, len(c.starts), c.trouble)
	}
}

// TestEnds: what the child says by its exit code is done.
func TestEnds(t *testing.T) {
	for code, want := range map[int]string{initd.ExitDone: "the agent is done with this machine", initd.ExitGiveUp: "the agent has given up"} {
		c := supervise(t, func(c *child) {
			c.die(exit(code))
			time.Sleep(time.Hour)
		})

		if len(c.starts) != 1 || !slices.Equal(c.trouble, []string{want}) {
			t.Errorf("exit %d: %d starts, %v", code, len(c.starts), c.trouble)
		}
	}
}

// TestOrphans: the end of a process that is not the child changes nothing, nor
// does a child that cannot be started: that is tried again.
func TestOrphans(t *testing.T) {
	c := supervise(t, func(c *child) {
		for range 3 {
			c.deaths <- initd.NewDeath(4711, exit(1))
		}

		time.Sleep(time.Minute)

		if n := c.lives(); n != 1 {
			t.Errorf("%d starts", n)
		}

		c.refuse = syscall.EAGAIN
		c.die(exit(1))
		time.Sleep(5 * time.Second)
	})

	if len(c.starts) < 3 || len(c.trouble) != 0 {
		t.Errorf("%v, %v", c.starts, c.trouble)
	}
}

// TestStartSelf: what a child says last is kept for the next one.
func TestStartSelf(t *testing.T) {
	crash := filepath.Join(t.TempDir(), "stderr")

	for range 2 {
		pid, err := initd.StartSelf([]string{"agent", "-test.run=^$"}, crash)()
		if err != nil {
			t.Fatal(err)
		}

		var status syscall.WaitStatus
		if _, err := syscall.Wait4(pid, &status, 0, nil); err != nil || status.ExitStatus() != 0 {
			t.Fatalf("%v %v", status, err)
		}
	}

	for _, name := range []string{crash, crash + ".last"} {
		if text, err := os.ReadFile(name); err != nil || !strings.Contains(string(text), "PASS") {
			t.Errorf("%s: %q %v", name, text, err)
		}
	}

	if _, err := initd.StartSelf(nil, filepath.Join(crash, "x"))(); err == nil {
		t.Error("started without a place for its last words")
	}
}

func TestConsoles(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }

	for name, c := range map[string]struct {
		root fs.FS
		want []string
	}{
		"nothing told":    {fstest.MapFS{}, []string{"tty0"}},
		"serial and tty":  {fstest.MapFS{"sys/class/tty/console/active": file("tty0 ttyS1\n")}, []string{"tty0", "ttyS1"}},
		"a real port":     {fstest.MapFS{"sys/class/tty/ttyS0/type": file("4\n")}, []string{"tty0", "ttyS0"}},
		"no chip":         {fstest.MapFS{"sys/class/tty/ttyS0/type": file("0\n")}, []string{"tty0"}},
		"active and real": {fstest.MapFS{"sys/class/tty/console/active": file("ttyS0"), "sys/class/tty/ttyS0/type": file("4")}, []string{"tty0", "ttyS0"}},
	} {
		if diff := cmp.Diff(c.want, initd.Consoles(c.root)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestLines: a line for people, whatever is in it.
func TestLines(t *testing.T) {
	var out strings.Builder

	log := slog.New(initd.NewLines(&out, slog.LevelInfo))
	log.Debug("not this")
	log.Info("stage over", slog.String("stage", "SMART"), slog.Int("n", 3))
	log.With(slog.String("disk", "sda")).WithGroup("a").Warn("too\x1b[31mhot\r\nnow", slog.String("serial", "x\x07y"))
	log.Error("bad", slog.Any("error", fmt.Errorf("two\nlines")))

	want := "vetting: stage over (stage=SMART, n=3)\n" +
		"vetting: WARN: too [31mhot  now (disk=sda, a.serial=x y)\n" +
		"vetting: ERROR: bad (error=two lines)\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}
