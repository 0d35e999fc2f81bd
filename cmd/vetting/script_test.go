package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"vetting/initramfs"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"vetting":        func() { os.Exit(Main(os.Args[1:])) },
		"without-rights": withoutRights,
		underFireName:    underFire,
		looksForEverName: looksForEver,
		onDamageName:     onDamage,
	})
}

// withoutRights runs a program as if nobody had granted it anything: what the
// thread may not hold, the program it turns into cannot get.
func withoutRights() {
	for right := range uintptr(unix.CAP_LAST_CAP + 1) {
		// Who may not drop rights has none to drop.
		_ = unix.Prctl(unix.PR_CAPBSET_DROP, right, 0, 0, 0)
	}

	program, err := exec.LookPath(os.Args[1])
	if err == nil {
		err = unix.Exec(program, os.Args[1:], os.Environ())
	}

	panic(err)
}

// The command line as people type it. The scripts whose name begins with "api"
// find an appliance without a test NIC running at VETTING_SERVER; those whose name
// begins with "cli" one with simulated hosts, too.
func TestScripts(t *testing.T) {
	runScripts(t, filepath.Join("testdata", "script"))
}

func runScripts(t *testing.T, dir string) {
	t.Helper()

	desk := sync.OnceValues(func() ([]string, error) { return openDesk(t) })
	play := sync.OnceValues(func() ([]string, error) { return openPlayground(t) })

	testscript.Run(t, testscript.Params{
		Dir: dir,
		Setup: func(env *testscript.Env) error {
			env.Vars = append(env.Vars, "VETTING_DATA_DIR="+filepath.Join(env.WorkDir, "data"))

			// Under the race detector a program would wait a second before it ends.
			env.Vars = append(env.Vars, "GORACE=atexit_sleep_ms=0")

			var (
				more []string
				err  error
			)

			switch name := filepath.Base(env.WorkDir); {
			case strings.HasPrefix(name, "script-api"):
				more, err = desk()
			case strings.HasPrefix(name, "script-cli"):
				more, err = play()
			}

			env.Vars = append(env.Vars, more...)

			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"code": exitsWith},
		Condition: func(name string) (bool, error) {
			_, err := initramfs.Open()

			return name == "image" && err == nil, nil
		},
	})
}

// exitsWith is "code N COMMAND…": the command must end with just this code.
func exitsWith(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N COMMAND…")
	}

	err := ts.Exec(args[1], args[2:]...)
	code := 0

	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}

	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("%s: code %d, want %s", strings.Join(args[1:], " "), code, args[0])
	}
}

// openDesk starts an appliance without hosts and says how the command line finds it.
func openDesk(t *testing.T) ([]string, error) {
	t.Helper()

	a := deskAppliance(t, t.TempDir(), nil)

	return reaching(t, a, "operate")
}

// reaching is how the command line finds an appliance, with a token of a scope.
func reaching(t *testing.T, a *appliance, scope string) ([]string, error) {
	t.Helper()

	token, err := a.ui.CreateToken(t.Context(), "script", scope)

	return []string{
		"VETTING_SERVER=" + a.ui.URL(), "VETTING_TOKEN=" + token,
		"VETTING_CERT=" + filepath.Join(a.config.DataDir, consoleKey+".crt"),
	}, err
}

// deskAppliance starts all of an appliance but what talks to machines; tune may
// change it before it opens anything. It ends with the test.
func deskAppliance(t *testing.T, dir string, tune func(*appliance)) *appliance {
	t.Helper()

	config := Defaults()
	config.DataDir, config.Console.Listen = dir, "127.0.0.1:0"

	a, err := newAppliance(config, nil, &initramfs.Image{ID: "none"}, t.Output(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}

	if tune != nil {
		tune(a)
	}

	ctx, cancel := context.WithCancel(context.Background())
	if err := a.open(ctx, a.openStore, a.openIdentity, a.openEngine, a.openUpkeep, a.openConsole); err != nil {
		t.Fatal(err)
	}

	ended := make(chan error, 1)

	go func() { ended <- a.together(ctx, a.common()) }()

	t.Cleanup(func() {
		cancel()

		if err := <-ended; err != nil {
			t.Error(err)
		}

		if err := a.close(); err != nil {
			t.Error(err)
		}
	})

	awaitConsole(t, a)

	return a
}

// awaitConsole returns when the console has its port.
func awaitConsole(t *testing.T, a *appliance) {
	t.Helper()

	look := time.NewTicker(time.Millisecond)
	defer look.Stop()

	for strings.HasSuffix(a.ui.URL(), ":0") {
		select {
		case <-look.C:
		case <-t.Context().Done():
			t.Fatal("the console never opened")
		}
	}
}
