package power_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bougou/go-ipmi/pkg/bmc"
	"github.com/bougou/go-ipmi/pkg/hal"
	"github.com/bougou/go-ipmi/pkg/hal/mock"

	"vetting/core"
	"vetting/netboot/power"
)

// ports is a serial port that is opened again and again, and remembers each time.
type ports struct {
	mu  sync.Mutex
	all []*mock.FakeConsoleConn
}

func (p *ports) console() *mock.Console {
	return &mock.Console{OpenHook: func(context.Context) (hal.ConsoleConn, error) {
		p.mu.Lock()
		defer p.mu.Unlock()

		p.all = append(p.all, &mock.FakeConsoleConn{})

		return p.all[len(p.all)-1], nil
	}}
}

// last is how the port was opened last.
func (p *ports) last() *mock.FakeConsoleConn {
	p.mu.Lock()
	defer p.mu.Unlock()

	return p.all[len(p.all)-1]
}

// dial opens the serial console of a machine.
func dial(t *testing.T, address string, takeOver bool) (io.ReadWriteCloser, core.PowerAttempt) {
	t.Helper()

	host := hostAt(core.PowerIPMI, address)

	return power.Switch{}.Serial(t.Context(), core.PowerOrder{Host: host, Secret: core.HostSecret{BMCPassword: password}, Way: core.PowerIPMI}, takeOver)
}

func mustDial(t *testing.T, address string, takeOver bool) io.ReadWriteCloser {
	t.Helper()

	line, tried := dial(t, address, takeOver)
	if tried.Code != "" {
		t.Fatalf("not opened: %+v", tried)
	}

	return line
}

// until waits for something.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()

	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s did not come", what)
		}
	}
}

// prints reads from a line until it has printed words.
func prints(t *testing.T, line io.Reader, words string) {
	t.Helper()

	var all bytes.Buffer

	for piece := make([]byte, 512); !strings.Contains(all.String(), words); {
		n, err := line.Read(piece)
		if all.Write(piece[:n]); err != nil {
			t.Fatalf("waiting for %q: %v after %q", words, err, &all)
		}
	}
}

func TestASerialConsoleCarriesBytesBothWays(t *testing.T) {
	t.Parallel()

	p := &ports{}
	line := mustDial(t, startBMC(t, &chassis{console: p.console()}, bmc.PrivilegeLevelAdministrator), false)

	p.last().FeedRX([]byte("rack1-u07 login: "))
	prints(t, line, "login: ")

	if _, err := line.Write([]byte("root\r~.\x03")); err != nil { // what ends other programs is the machine's here
		t.Fatal(err)
	}

	until(t, "what was typed", func() bool { return p.last().TXString() == "root\r~.\x03" })

	long := strings.Repeat("0123456789abcde\n", 1024)
	p.last().FeedRX([]byte(long + "end"))
	prints(t, line, "e\nend")

	if err := line.Close(); err != nil {
		t.Error(err)
	}

	if !p.last().IsClosed() {
		t.Error("the port was not given back")
	}

	if _, err := line.Write([]byte("x")); err == nil {
		t.Error("a line that is closed takes keys")
	}
}

// A controller lets one at a time at the port: who comes second is told, and gets in only by
// taking it over; who was first is told why it is over, and takes nothing back.
func TestASerialConsoleIsTakenOverOnlyWhenAsked(t *testing.T) {
	t.Parallel()

	p := &ports{}
	address := startBMC(t, &chassis{console: p.console()}, bmc.PrivilegeLevelAdministrator)
	first := mustDial(t, address, false)

	if line, tried := dial(t, address, false); line != nil || tried.Code != "power/serial-taken" {
		t.Errorf("two at a port: %+v", tried)
	}

	second := mustDial(t, address, true)

	_, err := io.Copy(io.Discard, first)
	if known, _ := errors.AsType[*core.Problem](err); known == nil || known.Code != "power/serial-ended" || !strings.Contains(known.Message, "took it over") {
		t.Errorf("the one before: %v", err)
	}

	if err := first.Close(); err != nil {
		t.Error(err)
	}

	p.last().FeedRX([]byte("still here"))
	prints(t, second, "still here")

	if err := second.Close(); err != nil || !p.last().IsClosed() {
		t.Errorf("closing: %v", err)
	}
}

func TestARefusedSerialConsoleSaysWhy(t *testing.T) {
	t.Parallel()

	p := &ports{}

	for name, c := range map[string]struct {
		machine *chassis
		role    bmc.PrivilegeLevel
		pass    string
		code    string
	}{
		"it is switched off":                      {&chassis{}, bmc.PrivilegeLevelAdministrator, password, "power/serial-off"},
		"the password is wrong":                   {&chassis{console: p.console()}, bmc.PrivilegeLevelAdministrator, "wrong", "power/wrong-password"},
		"the user is one who may do nothing here": {&chassis{console: p.console()}, bmc.PrivilegeLevelUser, password, "power/not-allowed"},
	} {
		host := hostAt(core.PowerIPMI, startBMC(t, c.machine, c.role))

		line, tried := power.Switch{}.Serial(t.Context(), core.PowerOrder{Host: host, Secret: core.HostSecret{BMCPassword: c.pass}, Way: core.PowerIPMI}, false)
		if line != nil || tried.Code != c.code || strings.Contains(tried.Detail, password) {
			t.Errorf("%s: %+v", name, tried)
		}
	}

	host := hostAt(core.PowerRedfish, "127.0.0.1:1")
	if line, tried := (power.Switch{}).Serial(t.Context(), core.PowerOrder{Host: host, Way: core.PowerRedfish}, false); line != nil || tried.Code != "power/unsupported" {
		t.Errorf("by Redfish: %+v", tried)
	}
}

// A line lets go of the controller's few sessions.
func TestSerialConsolesLeaveNoSessionBehind(t *testing.T) {
	t.Parallel()

	p := &ports{}
	address := startBMC(t, &chassis{console: p.console()}, bmc.PrivilegeLevelAdministrator)

	for range bmc.MaxSessions + 2 {
		if err := mustDial(t, address, false).Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// Characters that are lost on the way are told of, and end nothing; a machine that takes no
// input is no end either.
func TestAHitchEndsNoSerialConsole(t *testing.T) {
	t.Parallel()

	stuck := &mock.FakeConsoleConn{}
	line := mustDial(t, startBMC(t, &chassis{console: &mock.Console{Conn: deaf{stuck}}}, bmc.PrivilegeLevelAdministrator), false)

	if _, err := line.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}

	prints(t, line, "does not take what is typed")
	stuck.FeedRX([]byte("and goes on"))
	prints(t, line, "and goes on")

	if err := line.Close(); err != nil {
		t.Error(err)
	}
}

// deaf takes no keys.
type deaf struct{ *mock.FakeConsoleConn }

func (deaf) Write([]byte) (int, error) { return 0, nil }

// A controller that falls silent ends the line, with the reason, and closing it does not take long.
func TestASilentControllerEndsItsSerialConsole(t *testing.T) {
	t.Parallel()

	p := &ports{}

	var silent atomic.Bool

	line := mustDial(t, relay(t, startBMC(t, &chassis{console: p.console()}, bmc.PrivilegeLevelAdministrator), func(answer []byte) [][]byte {
		if silent.Load() {
			return nil
		}

		return [][]byte{bytes.Clone(answer)}
	}), false)

	silent.Store(true)

	_, err := io.Copy(io.Discard, line)
	if known, _ := errors.AsType[*core.Problem](err); known == nil || !strings.Contains(known.Message, "does not answer") {
		t.Errorf("the end: %v", err)
	}

	began := time.Now()
	if err := line.Close(); err != nil || time.Since(began) > 10*time.Second {
		t.Errorf("closing took %s: %v", time.Since(began), err)
	}
}
