package worker

import (
	"fmt"
	"strings"
	"syscall"
	"time"

	"vetting/core"
	"vetting/core/problem"
)

// Reason says why a worker ended.
type Reason string

// The reasons.
const (
	Done              Reason = "done"               // the test was done
	Stopped           Reason = "stopped"            // we ended it before
	CanaryMissed      Reason = "canary-missed"      // it did not find the planted fault
	MemoryPoisoned    Reason = "memory-poisoned"    // it touched a page that memory cannot give back
	ControlFlow       Reason = "control-flow"       // it jumped astray: SIGILL, SIGSEGV outside any mapping, …
	OutOfMemory       Reason = "out-of-memory"      // the kernel killed it for lack of memory
	Killed            Reason = "killed"             // somebody killed it, neither we nor the kernel
	Hung              Reason = "hung"               // it, or a lane of it, did not move any more
	Broken            Reason = "broken"             // it says that it could not do the test
	Crashed           Reason = "crashed"            // a fault of the program: a panic, an exit code of nobody's
	ProtocolViolation Reason = "protocol-violation" // it did not keep to the conversation
	NotStarted        Reason = "not-started"        // there was no process
)

// Reasons returns all reasons.
func Reasons() []Reason {
	return []Reason{
		Done, Stopped, CanaryMissed, MemoryPoisoned, ControlFlow, OutOfMemory, Killed, Hung, Broken, Crashed, ProtocolViolation, NotStarted,
	}
}

// Verdict is what a stage makes of the reason. Stopped and Done say nothing about
// the machine.
func (r Reason) Verdict() core.Verdict {
	switch r {
	case Done:
		return core.Pass
	case MemoryPoisoned, ControlFlow, Hung:
		return core.Fail
	default:
		return core.Error
	}
}

// Exit is how a worker ended.
type Exit struct {
	Worker string // its name
	Reason Reason
	Detail string         // what was seen, for the evidence
	Signal syscall.Signal // 0: none
	Code   int            // si_code, with a signal that the worker could report
	Addr   uint64         // virtual address, with MemoryPoisoned and ControlFlow where it is known
	PC     uint64         // of the instruction, likewise
	Tail   string         // the beginning and end of what it printed
	Took   time.Duration
}

// Code of the finding that a reason makes; empty: none.
func (r Reason) code() string {
	if r == Done || r == Stopped {
		return ""
	}

	return "worker/" + string(r)
}

// Findings returns what the exit is worth telling: nothing for Done and Stopped,
// else one finding about the part under test.
func (e *Exit) Findings(part core.Part) []core.Finding {
	code := e.Reason.code()
	if code == "" {
		return nil
	}

	evidence := "worker " + e.Worker + ": " + e.Detail
	if last := lastLines(e.Tail); last != "" {
		evidence += "; it printed: " + last
	}

	return []core.Finding{problem.Finding(code, "", "", part, evidence)}
}

// lastLines shortens what a process printed to what fits into evidence.
func lastLines(text string) string {
	const enough = 600

	text = strings.Join(strings.Fields(text), " ")
	if len(text) > enough {
		text = strings.ToValidUTF8(text[:enough], "") + " …"
	}

	return text
}

// ending is what the parent knows when the process is gone.
type ending struct {
	ours     Reason // why the parent ended it; empty: it did not
	why      string // to it
	said     Type   // done, failed or empty
	fault    string // with failed
	canary   bool   // it caught the planted fault
	status   syscall.WaitStatus
	tail     string
	evidence []string // lines of the kernel that name the process
	ooms     int      // processes that the kernel killed for lack of memory meanwhile; -1: not known
}

// judge tells the reason from what is known.
func (e *ending) judge() Exit {
	exit := Exit{Tail: e.tail}
	crash := readCrash(e.tail)

	switch {
	case e.ours != "" && e.ours != Stopped:
		exit.Reason, exit.Detail = e.ours, e.why
	case e.said == done && e.status.Exited() && e.status.ExitStatus() == codeDone && e.canary:
		exit.Reason = Done
	case e.said == done && !e.canary:
		exit.Reason, exit.Detail = ProtocolViolation, "it ended without proof that it finds a planted fault"
	case e.ours == Stopped:
		exit.Reason, exit.Detail = Stopped, e.why
	case crash.known && e.status.Exited():
		exit.Signal, exit.Code, exit.Addr, exit.PC = crash.signal, crash.code, crash.addr, crash.pc
		exit.Reason, exit.Detail = crash.judge()
	case e.status.Signaled():
		exit.Signal = e.status.Signal()
		exit.Reason, exit.Detail = e.judgeSignal()
	case e.said == failed:
		exit.Reason, exit.Detail = Broken, e.fault
	default:
		exit.Reason, exit.Detail = Crashed, fmt.Sprintf("it ended with exit status %d", e.status.ExitStatus())
	}

	return exit
}

// judge tells what a signal that the runtime reported means.
func (c crash) judge() (Reason, string) {
	what := fmt.Sprintf("%s, si_code %d, address %#x, instruction at %#x", signalName(c.signal), c.code, c.addr, c.pc)

	switch {
	case c.code == codeUser || c.code == codeTkill:
		return Killed, what + ": another process sent it"
	case c.signal == syscall.SIGBUS && (c.code == busPoisonNow || c.code == busPoisonLater):
		return MemoryPoisoned, "uncorrectable memory error: " + what
	case c.signal == syscall.SIGILL, c.signal == syscall.SIGTRAP, c.signal == syscall.SIGFPE:
		return ControlFlow, what
	case c.signal == syscall.SIGSEGV && c.addr >= nullPage:
		return ControlFlow, what
	default:
		return Crashed, what
	}
}

// judgeSignal tells what a signal means that ended the process by itself.
func (e *ending) judgeSignal() (Reason, string) {
	name := signalName(e.status.Signal())
	seen := strings.Join(e.evidence, "; ")

	switch {
	case mentions(e.evidence, poisonWords()):
		return MemoryPoisoned, name + " after: " + seen
	case mentions(e.evidence, oomWords()):
		return OutOfMemory, name + " after: " + seen
	case e.status.Signal() == syscall.SIGBUS:
		return MemoryPoisoned, name + ", and the kernel did not let the process report it"
	case e.status.Signal() == syscall.SIGKILL && e.ooms > 0:
		return OutOfMemory, fmt.Sprintf("%s while the kernel killed %d processes for lack of memory", name, e.ooms)
	case e.status.Signal() == syscall.SIGSEGV, e.status.Signal() == syscall.SIGILL:
		return ControlFlow, name + ", and the process could not report it"
	default:
		return Killed, name + " from outside, and the kernel's log does not say why"
	}
}

func signalName(s syscall.Signal) string {
	for name, signal := range signals() {
		if signal == s {
			return name
		}
	}

	if s == syscall.SIGKILL {
		return "SIGKILL"
	}

	return s.String()
}

func mentions(lines, words []string) bool {
	for _, line := range lines {
		for _, word := range words {
			if strings.Contains(line, word) {
				return true
			}
		}
	}

	return false
}
