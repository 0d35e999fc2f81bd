package operator

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vetting/cmd/client"
)

func TestTheConsoleIsLeftAtTheStartOfALine(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]struct {
		typed []string // pieces as they come
		sent  string
		left  bool
	}{
		"at once":                            {[]string{"~."}, "", true},
		"in two pieces, after a line":        {[]string{"ls\r~", ".more"}, "ls\r", true},
		"after a line feed":                  {[]string{"ls\n~."}, "ls\n", true},
		"not within a line":                  {[]string{"cp ~.ssh\r"}, "cp ~.ssh\r", false},
		"two are one of the host's":          {[]string{"~~.\r"}, "~.\r", false},
		"before anything else it is its own": {[]string{"~/bin\r"}, "~/bin\r", false},
		"before a new line":                  {[]string{"~\r~."}, "~\r", true},
		"what ends programs is the host's":   {[]string{"\x03\x1d\x04"}, "\x03\x1d\x04", false},
	} {
		e := &escape{start: true}

		var (
			sent []byte
			left bool
		)

		for _, piece := range c.typed {
			out, leave := e.take([]byte(piece))
			sent, left = append(sent, out...), left || leave
		}

		if string(sent) != c.sent || left != c.left {
			t.Errorf("%s: sent %q, left %v", name, sent, left)
		}
	}
}

// tape is a console that says what it has, then blocks until it is closed.
type tape struct {
	said   []client.ConsoleSaid
	typed  bytes.Buffer
	closed chan struct{}
}

func (c *tape) Next() (said client.ConsoleSaid, err error) {
	if len(c.said) == 0 {
		<-c.closed

		return said, io.ErrClosedPipe
	}

	said, c.said = c.said[0], c.said[1:]

	return said, nil
}

func (c *tape) Type(keys []byte) error {
	c.typed.Write(keys)

	return nil
}

func (c *tape) Close() error {
	select {
	case <-c.closed:
	default:
		close(c.closed)
	}

	return nil
}

func TestTheConsolePrintsWhatTheHostPrintsAndSaysWhyItIsOver(t *testing.T) {
	t.Parallel()

	var out, errs bytes.Buffer

	s := &seat{name: "rack3", out: &out, errs: &errs, wire: &tape{closed: make(chan struct{}), said: []client.ConsoleSaid{
		{Role: "viewer", Who: "otto"}, {Bytes: []byte("login: \x1b[2J")}, {End: "somebody took it over", Code: "power/serial-ended"},
	}}}

	err := s.sit(t.Context(), nil)
	if err == nil || err.Error() != "the serial console of rack3: somebody took it over [power/serial-ended]" || out.String() != "login: \x1b[2J" || strings.Contains(errs.String(), "otto") {
		t.Errorf("%v, out %q, errors %q", err, &out, &errs)
	}

	// Whoever ends the program ends the console, which is no error.
	ctx, end := context.WithCancel(t.Context())
	wire := &tape{closed: make(chan struct{}), said: []client.ConsoleSaid{{Role: "viewer"}}}
	s = &seat{name: "rack3", out: &out, errs: &errs, wire: wire}

	end()

	if err := s.sit(ctx, nil); err != nil {
		t.Error(err)
	}

	// So does ~. in what is typed.
	wire = &tape{closed: make(chan struct{})}
	s = &seat{name: "rack3", out: &out, errs: &errs, wire: wire}
	s.typing(strings.NewReader("reboot\r~."))

	if err := s.sit(t.Context(), nil); err != nil || wire.typed.String() != "reboot\r" {
		t.Errorf("%v after %q", err, &wire.typed)
	}

	wire = &tape{closed: make(chan struct{})}
	_ = wire.Close()

	if err := (&seat{name: "rack3", out: &out, errs: &errs, wire: wire}).sit(t.Context(), nil); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("one that broke: %v", err)
	}
}

// On a terminal each key goes to the host, those too that would end a program here; and the
// terminal is as it was when the console is left.
func TestTheConsoleLeavesTheTerminalAsItWas(t *testing.T) {
	t.Parallel()

	person, at := pseudoTerminal(t)

	before, err := unix.IoctlGetTermios(int(at.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}

	var out, errs bytes.Buffer

	wire := &tape{closed: make(chan struct{}), said: []client.ConsoleSaid{{Role: client.ConsoleDriver}}}
	s := &seat{name: "rack3", out: &out, errs: &errs, wire: wire}
	left := make(chan error, 1)

	go func() { left <- s.sit(t.Context(), at) }()

	// Keys count once they are taken one by one.
	for {
		now, err := unix.IoctlGetTermios(int(at.Fd()), unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}

		if now.Lflag&(unix.ICANON|unix.ISIG|unix.ECHO) == 0 {
			break
		}

		time.Sleep(time.Millisecond)
	}

	if _, err := person.WriteString("top\r\x03\r~."); err != nil {
		t.Fatal(err)
	}

	if err := <-left; err != nil || wire.typed.String() != "top\r\x03\r" || !strings.Contains(errs.String(), "~. ends it") {
		t.Errorf("%v, typed %q, errors %q", err, &wire.typed, &errs)
	}

	if after, err := unix.IoctlGetTermios(int(at.Fd()), unix.TCGETS); err != nil || *after != *before {
		t.Errorf("the terminal was left as %+v, was %+v: %v", after, before, err)
	}
}
