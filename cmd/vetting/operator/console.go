package operator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"vetting/cmd/client"
)

func (e *Env) consoleCommand() *cobra.Command {
	var takeOver, readOnly bool

	cmd := e.remote(&cobra.Command{
		Use: "console HOST", Aliases: []string{"sol"}, Short: "Sit at the serial console of a host, over its management controller (IPMI serial over LAN)",
		Long: "What is typed goes to the host as it is, Ctrl-C too. At the start of a line ~. ends the console and ~~ types one ~; within an ssh, which takes ~. for itself, type ~~.\n" +
			"Whoever comes second looks on. It ends without a byte for half an hour.\n\n" +
			"What the host prints reaches this terminal as it is: a hostile host can send it control sequences. The page of the host in the console shows the same in a browser, which takes none of them out of the page.",
		Example: "  vetting host console rack3-u17\n  vetting host console rack3-u17 --read-only | tee boot.txt",
	}, func(s *session, args []string) error {
		var at *os.File

		if !readOnly {
			var ok bool

			if at, ok = s.cmd.InOrStdin().(*os.File); !ok || !term.IsTerminal(int(at.Fd())) { //nolint:gosec // descriptors are small
				return usage("standard input is no terminal to type at; --read-only only prints what the host prints")
			}
		}

		host, err := s.resolve(s.cmd.Context(), "HOST", args[0])
		if err != nil {
			return err
		}

		wire, err := s.api.HostConsole(s.cmd.Context(), host, takeOver, readOnly)
		if err != nil {
			return err
		}

		seat := &seat{name: args[0], wire: wire, out: s.env.Out, errs: s.env.Errs}

		return seat.sit(s.cmd.Context(), at)
	})
	cmd.Flags().BoolVar(&takeOver, "take-over", false, "end the session that somebody else has at the controller, such as one that was never ended")
	cmd.Flags().BoolVar(&readOnly, "read-only", false, "only print what the host prints, and type nothing")

	return cmd
}

// console is the serial console of a host, as *client.Console.
type console interface {
	Next() (client.ConsoleSaid, error)
	Type(keys []byte) error
	Close() error
}

// seat is one person at the serial console of a host.
type seat struct {
	name      string
	wire      console
	out, errs io.Writer

	opened bool
	left   atomic.Bool // by ~.
}

// sit prints what the host prints until it is over. at is the terminal whose keys go to the host;
// nil: none do. It is left as it was.
func (s *seat) sit(ctx context.Context, at *os.File) error {
	stop := context.AfterFunc(ctx, func() { _ = s.wire.Close() })
	defer stop()
	defer s.wire.Close() //nolint:errcheck // it may be closed

	restore := func() {}
	defer func() { restore() }()

	for {
		said, err := s.wire.Next()

		switch {
		case err != nil && (s.left.Load() || ctx.Err() != nil):
			fmt.Fprint(s.errs, "\r\n")

			return nil
		case err != nil:
			return fmt.Errorf("the serial console of %s broke: %w", s.name, err)
		case said.End != "":
			return s.over(&said)
		}

		if !s.opened {
			s.opened = true

			if restore, err = s.greet(at); err != nil {
				return err
			}
		}

		if err := s.show(&said, at != nil); err != nil {
			return err
		}
	}
}

// greet says how the console is left, and hands the keys of a terminal to the host.
func (s *seat) greet(at *os.File) (restore func(), err error) {
	if at == nil {
		return func() {}, nil
	}

	fmt.Fprintf(s.errs, "Serial console of %s. At the start of a line ~. ends it and ~~ types a ~.\n", s.name)

	before, err := term.MakeRaw(int(at.Fd())) //nolint:gosec // descriptors are small
	if err != nil {
		return func() {}, fmt.Errorf("taking the keys of the terminal: %w", err)
	}

	go s.typing(at)

	return func() { _ = term.Restore(int(at.Fd()), before) }, nil //nolint:gosec // likewise
}

// show prints what came.
func (s *seat) show(said *client.ConsoleSaid, types bool) error {
	switch {
	case said.Bytes != nil:
		if _, err := s.out.Write(said.Bytes); err != nil {
			return fmt.Errorf("printing what the host prints: %w", err)
		}
	case types && said.Role != client.ConsoleDriver:
		fmt.Fprintf(s.errs, "[vetting: %s types; you look on]\r\n", cmp.Or(said.Who, "somebody else"))
	}

	return nil
}

// over says why it is over.
func (s *seat) over(said *client.ConsoleSaid) error {
	if s.opened {
		fmt.Fprint(s.errs, "\r\n")
	}

	text := fmt.Sprintf("the serial console of %s: %s", s.name, said.End)
	if said.Code != "" {
		text += " [" + said.Code + "]"
	}

	return errors.New(text)
}

// typing hands keys to the host until it is left.
func (s *seat) typing(from io.Reader) {
	keys, e := make([]byte, 1024), &escape{start: true}

	for {
		n, err := from.Read(keys)
		send, leave := e.take(keys[:n])

		if len(send) > 0 && s.wire.Type(send) != nil {
			return // who reads hears why
		}

		if leave || err != nil {
			s.left.Store(true)
			_ = s.wire.Close()

			return
		}
	}
}

// escape finds ~. at the start of a line among keys, as ssh and ipmitool do.
type escape struct {
	start   bool // of a line
	pending bool // a ~ there
}

// take returns what of the keys is the host's, and whether the console is to be left.
func (e *escape) take(keys []byte) (send []byte, leave bool) {
	for _, key := range keys {
		switch {
		case e.pending && key == '.':
			return send, true
		case e.pending:
			e.pending = false

			send = append(send, '~')
			if key == '~' {
				continue
			}
		case e.start && key == '~':
			e.start, e.pending = false, true

			continue
		}

		send = append(send, key)
		e.start = key == '\r' || key == '\n'
	}

	return send, false
}
