package worker

import (
	"regexp"
	"strconv"
	"syscall"
)

// crash is what Go's runtime said about the signal that ended the process.
type crash struct {
	signal syscall.Signal
	code   int // si_code
	addr   uint64
	pc     uint64
	known  bool
}

// Codes of siginfo (signal.h).
const (
	codeUser        = 0 // SI_USER: sent by kill(2)
	codeTkill       = -6
	busPoisonNow    = 4 // BUS_MCEERR_AR: the poisoned page was touched
	busPoisonLater  = 5 // BUS_MCEERR_AO: it was found by others
	nullPage        = 4096
	sixtyFourBits   = 64
	numberOfAnyBase = 0
)

// The two forms in which the runtime reports a signal: one for those that hit Go
// code (runtime/signal_unix.go, printpanics), one for all others (sighandler).
// Neither is promised to stay; the tests look at real ones.
func crashForms() []*regexp.Regexp {
	return []*regexp.Regexp{
		regexp.MustCompile(`\[signal (SIG[A-Z]+)[^\]]*? code=(-?(?:0x)?[0-9a-f]+) addr=(0x[0-9a-f]+) pc=(0x[0-9a-f]+)\]`),
		regexp.MustCompile(`(?m)^(SIG[A-Z]+): .*\n(?:PC=(0x[0-9a-f]+) m=\d+ sigcode=(-?\d+))(?: addr=(0x[0-9a-f]+))?`),
	}
}

func signals() map[string]syscall.Signal {
	return map[string]syscall.Signal{
		"SIGBUS": syscall.SIGBUS, "SIGSEGV": syscall.SIGSEGV, "SIGILL": syscall.SIGILL, "SIGFPE": syscall.SIGFPE,
		"SIGTRAP": syscall.SIGTRAP, "SIGABRT": syscall.SIGABRT, "SIGQUIT": syscall.SIGQUIT, "SIGSYS": syscall.SIGSYS,
	}
}

// readCrash finds the signal in what a dying process printed.
func readCrash(text string) (c crash) {
	forms := crashForms()

	if m := forms[0].FindStringSubmatch(text); m != nil {
		c = crash{signal: signals()[m[1]], code: code(m[2]), addr: address(m[3]), pc: address(m[4])}
	} else if m := forms[1].FindStringSubmatch(text); m != nil {
		c = crash{signal: signals()[m[1]], pc: address(m[2]), code: code(m[3]), addr: address(m[4])}
	}

	c.known = c.signal != 0

	return c
}

func address(text string) uint64 {
	n, err := strconv.ParseUint(text, numberOfAnyBase, sixtyFourBits)
	if err != nil {
		return 0
	}

	return n
}

// code reads an si_code, which the runtime prints as a number without a sign.
func code(text string) int {
	if n, err := strconv.ParseInt(text, numberOfAnyBase, sixtyFourBits); err == nil {
		return int(int32(n))
	}

	return int(int32(address(text)))
}
