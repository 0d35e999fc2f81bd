package ui

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"golang.org/x/crypto/ssh"

	"vetting/core"
	"vetting/core/problem"
	"vetting/core/sshkey"
	"vetting/ui/view"
)

// terminalPage shows a shell on the held host of a run, or why there is none.
func (u *UI) terminalPage(c *fiber.Ctx) error {
	run, err := u.findRun(c, nil)
	if err != nil {
		return err
	}

	page, err := u.terminalFrame(c, "Terminal of "+run.HostName)
	if err != nil {
		return err
	}

	page.Word, page.Name, page.Back, page.BackWords, page.Again = "Terminal", run.HostName, "/runs/"+string(run.ID), "Back to the run", "/runs/"+string(run.ID)+"/terminal"
	page.About = "A root shell in the rescue system. It is written down who opens it; it ends with the hold. Whoever is there first types, others look on."
	page.Without = "The terminal needs JavaScript. Take the key of the hold and use ssh instead."

	switch err := heldOpen(&run); {
	case u.cfg.TerminalKey == nil || u.cfg.Dial == nil:
		page.Closed = "This appliance has no way to the test network."
	case err != nil:
		page.Closed = strings.Join(sentences(err), " ")
	default:
		if err := u.admit(c, &page, keyOfRun(run.ID), "/runs/"+string(run.ID)+"/terminal/socket"); err != nil {
			return err
		}
	}

	return draw(c, view.ShowTerminal(&page))
}

// keyOfRun names the terminal of a run.
func keyOfRun(id core.RunID) string { return "run/" + string(id) }

// terminalSocket joins a browser to the shell of a held host. The page's origin, the
// session or token, its role, and the ticket of the page must all be right.
func (u *UI) terminalSocket(c *fiber.Ctx) error {
	if err := wantsSocket(c); err != nil {
		return err
	}

	if err := ownOrigin(c); err != nil {
		return err
	}

	run, err := u.findRun(c, nil)
	if err != nil {
		return err
	}

	if err := heldOpen(&run); err != nil {
		return err
	}

	if u.cfg.TerminalKey == nil || u.cfg.Dial == nil {
		return core.NewProblem(core.ErrConflict, problem.HoldUnreached, "This appliance has no way to the test network.")
	}

	size, err := u.fromPage(c, keyOfRun(run.ID))
	if err != nil {
		return err
	}

	hold := *run.Hold

	return u.joinTerminal(c, &port{
		key: keyOfRun(run.ID), same: fmt.Sprint(hold.Epoch, " ", hold.HostKey), word: "terminal", of: fmt.Sprintf("the held host %s (run %s)", run.HostName, run.ID),
		action: "hold.terminal", host: run.Host, run: run.ID, over: "the shell has ended",
		silent: fmt.Sprintf("The SSH server of %s does not answer; see whether the host still beats.", run.HostName),
		open:   func(ctx context.Context, size window) (line, error) { return u.shellOf(ctx, &run, size) },
		ended:  func(ctx context.Context) string { return u.holdEnded(ctx, run.ID, &hold) },
	}, size, false)
}

// talk is how the SSH server of a hold is spoken to: it must have the key that its agent told
// over the pinned connection. other is set where it turns out to have another one.
func (u *UI) talk(hold *core.Hold, other *bool) (*ssh.ClientConfig, error) {
	pinned, err := sshkey.Parse(hold.HostKey)
	if err != nil {
		return nil, fmt.Errorf("reading the host key of the hold: %w", err)
	}

	want, err := ssh.NewPublicKey(pinned)
	if err != nil {
		return nil, fmt.Errorf("reading the host key of the hold: %w", err)
	}

	own, err := ssh.NewSignerFromSigner(u.cfg.TerminalKey)
	if err != nil {
		return nil, fmt.Errorf("reading the terminal's key: %w", err)
	}

	return &ssh.ClientConfig{
		User: "root", Auth: []ssh.AuthMethod{ssh.PublicKeys(own)}, HostKeyAlgorithms: []string{ssh.KeyAlgoED25519}, ClientVersion: "SSH-2.0-vetting-console",
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			if *other = !bytes.Equal(key.Marshal(), want.Marshal()); *other {
				return errors.New("the host key is another one")
			}

			return nil
		},
	}, nil
}

// shellOf opens a shell on the held host of a run.
func (u *UI) shellOf(ctx context.Context, run *core.Run, size window) (line, error) {
	other, patience := false, u.terminals.patience

	config, err := u.talk(run.Hold, &other)
	if err != nil {
		return nil, err
	}

	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()

	wire, err := u.cfg.Dial(ctx, run.ID)
	if err != nil {
		return nil, err
	}

	// It holds until the shell is there, since each step of that waits for the host. A closed
	// connection shows at the handshake.
	_ = wire.SetDeadline(time.Now().Add(patience))

	conn, channels, requests, err := ssh.NewClientConn(wire, run.Hold.Addr.String(), config)

	switch {
	case err == nil:
	case other:
		return nil, errors.Join(core.NewProblem(core.ErrRefused, problem.HoldOtherKey, fmt.Sprintf(
			"Another machine than %s answers at %s: its host key is not the one that the agent told. Nothing was typed there.", run.HostName, run.Hold.Addr)), wire.Close())
	case strings.Contains(err.Error(), "unable to authenticate"):
		return nil, errors.Join(core.NewProblem(core.ErrRefused, problem.HoldStranger,
			"The host was held before this appliance was started, and does not know the key of its terminal. Use ssh with the key of the hold, or run the stage again."), wire.Close())
	default:
		return nil, errors.Join(err, wire.Close())
	}

	one := &shell{client: ssh.NewClient(conn, channels, requests)}

	if err := one.start(size); err != nil {
		return nil, errors.Join(core.NewProblem(core.ErrConflict, problem.HoldNoShell, fmt.Sprintf(
			"%s opens no shell; close other sessions and try again.", run.HostName)), one.Close())
	}

	_ = wire.SetDeadline(time.Time{}) // likewise

	return one, nil
}

// shell is a line to a shell on a held host.
type shell struct {
	io.Reader
	io.Writer

	client  *ssh.Client
	session *ssh.Session
}

// Close hangs up on what the shell runs.
func (s *shell) Close() error { return s.client.Close() }

func (s *shell) resize(size window) { _ = s.session.WindowChange(size.Rows, size.Cols) } // a broken connection shows elsewhere

// start opens the session.
func (s *shell) start(size window) error {
	session, err := s.client.NewSession()
	if err != nil {
		return fmt.Errorf("opening a session: %w", err)
	}

	in, err := session.StdinPipe()
	if err != nil {
		return fmt.Errorf("opening a session: %w", err)
	}

	out, err := session.StdoutPipe()
	if err != nil {
		return fmt.Errorf("opening a session: %w", err)
	}

	if err := session.RequestPty("xterm-256color", size.Rows, size.Cols, ssh.TerminalModes{}); err != nil {
		return fmt.Errorf("asking for a terminal: %w", err)
	}

	if err := session.Shell(); err != nil {
		return fmt.Errorf("starting a shell: %w", err)
	}

	s.session, s.Reader, s.Writer = session, out, in

	return nil
}
