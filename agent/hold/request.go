package hold

import (
	"strings"
	"syscall"

	"golang.org/x/crypto/ssh"
)

const (
	maxEnv     = 32       // variables a client may set
	maxEnvLen  = 256      // bytes of one
	maxCommand = 32 << 10 // bytes of a command
	maxSide    = 4096     // columns or rows of a window
)

// window is the size of a terminal in characters.
type window struct{ columns, rows uint16 }

// exitStatus and exitSignal are the messages of RFC 4254 §6.10.
type exitStatus struct{ Code uint32 }

type exitSignal struct {
	Signal  string
	Core    bool
	Message string
	Lang    string
}

// readEnv reads an "env" request (RFC 4254 §6.4). Only what tells language and
// time zone is taken: everything else could change what programs do.
func readEnv(payload []byte) (pair string, ok bool) {
	var m struct{ Name, Value string }
	if ssh.Unmarshal(payload, &m) != nil {
		return "", false
	}

	known := m.Name == "LANG" || m.Name == "TZ" || strings.HasPrefix(m.Name, "LC_")

	return m.Name + "=" + m.Value, known && isWord(m.Name) && isWord(m.Value)
}

// readPty reads a "pty-req" request (RFC 4254 §6.2). The modes of the terminal
// are the kernel's own.
func readPty(payload []byte) (term string, size window, ok bool) {
	var m struct {
		Term                         string
		Columns, Rows, Width, Height uint32
		Modes                        string
	}

	if ssh.Unmarshal(payload, &m) != nil || !isWord(m.Term) {
		return "", window{}, false
	}

	return m.Term, sized(m.Columns, m.Rows), true
}

// readWindow reads a "window-change" request (RFC 4254 §6.7).
func readWindow(payload []byte) (window, bool) {
	var m struct{ Columns, Rows, Width, Height uint32 }
	if ssh.Unmarshal(payload, &m) != nil {
		return window{}, false
	}

	return sized(m.Columns, m.Rows), true
}

// readExec reads an "exec" request (RFC 4254 §6.5).
func readExec(payload []byte) (command string, ok bool) {
	var m struct{ Command string }
	if ssh.Unmarshal(payload, &m) != nil {
		return "", false
	}

	return m.Command, m.Command != "" && len(m.Command) <= maxCommand && !strings.ContainsRune(m.Command, 0)
}

// readSignal reads a "signal" request (RFC 4254 §6.9).
func readSignal(payload []byte) (syscall.Signal, bool) {
	var m struct{ Name string }
	if ssh.Unmarshal(payload, &m) != nil {
		return 0, false
	}

	signal, ok := signals()[m.Name]

	return signal, ok
}

// signals are those of RFC 4254 §6.10.
func signals() map[string]syscall.Signal {
	return map[string]syscall.Signal{
		"ABRT": syscall.SIGABRT, "ALRM": syscall.SIGALRM, "FPE": syscall.SIGFPE, "HUP": syscall.SIGHUP, "ILL": syscall.SIGILL,
		"INT": syscall.SIGINT, "KILL": syscall.SIGKILL, "PIPE": syscall.SIGPIPE, "QUIT": syscall.SIGQUIT, "SEGV": syscall.SIGSEGV,
		"TERM": syscall.SIGTERM, "USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2,
	}
}

// signalName is how SSH calls a signal; empty when it has no name for it.
func signalName(signal syscall.Signal) string {
	for name, known := range signals() {
		if known == signal {
			return name
		}
	}

	return ""
}

func sized(columns, rows uint32) window {
	return window{columns: uint16(min(columns, maxSide)), rows: uint16(min(rows, maxSide))} //nolint:gosec // bounded here
}

// isWord reports whether s may be part of an environment: short, printable, no
// spaces.
func isWord(s string) bool {
	if len(s) > maxEnvLen {
		return false
	}

	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' {
			return false
		}
	}

	return true
}
