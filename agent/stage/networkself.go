package stage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"vetting/agent/disk"
	"vetting/agent/probe"
	"vetting/core"
)

// ownTest is what came of a port's own tests.
type ownTest struct {
	probe.PortTest

	done    bool
	offline bool
	err     error // why it was not done
	dark    bool  // the link did not come back
}

const (
	// linkWait is how long a link may take to be there again after a test that took it
	// down, and linkPoll how often it is looked at.
	linkWait = time.Minute
	linkPoll = time.Second
)

// selfTest has the driver of a port test it: stages.md §3.8, ETHTOOL_TEST. The port that
// the machine booted from keeps its link, and with it the run; ports that are cabled to
// other networks are left alone. It is done when the port was measured and has given its
// address back, so that nothing of it counts as a flap. What fails is tested once more.
func (x *netExam) selfTest(ctx context.Context, p *netPort) {
	tester, ok := x.machine.Ports.(probe.SelfTester)
	if !ok || !p.addressed || x.own != "online" && x.own != "offline" || ctx.Err() != nil {
		return
	}

	// Where it is not known which port carries the run it may be this one; and what emulators
	// make of registers and loops is nobody's hardware.
	known := slices.ContainsFunc(x.ports, func(p *netPort) bool { return p.nic.BootNIC })
	p.own.offline = x.own == "offline" && known && !p.nic.BootNIC && !x.virtual

	for range 2 {
		p.own.PortTest, p.own.err = tester.SelfTest(p.nic.Name, p.own.offline)
		p.own.done = p.own.err == nil

		if p.own.offline {
			p.own.dark = !x.linkBack(ctx, p)
		}

		if !p.own.done || !p.own.Failed && !p.own.dark || ctx.Err() != nil {
			break
		}
	}

	x.env.Log.Info("port tested itself", slog.String("port", p.nic.Name), slog.Bool("offline", p.own.offline), slog.String("result", p.own.words()))
}

// linkBack waits for a link that a test has taken down.
func (x *netExam) linkBack(ctx context.Context, p *netPort) bool {
	for range linkWait / linkPoll {
		if x.machine.PortState(p.nic.Name).Link {
			return true
		}

		select {
		case <-ctx.Done():
			return true // nobody knows
		case <-time.After(linkPoll):
		}
	}

	return false
}

// words tell of the tests, behind other words.
func (o *ownTest) words() string {
	kind := "online"
	if o.offline {
		kind = "offline"
	}

	switch {
	case errors.Is(o.err, disk.ErrRefused):
		return "; its driver has no self-test"
	case o.err != nil:
		return "; self-test NOT done: " + o.err.Error()
	case !o.done:
		return ""
	case o.dark:
		return "; no link after its self-test"
	case o.Failed:
		return fmt.Sprintf("; self-test failed (%s): %s", kind, strings.Join(o.Wrong, ", "))
	default:
		return fmt.Sprintf("; self-test passed (%s, %s)", kind, plural(o.Tests, "test", "tests"))
	}
}

// selfTested judges a port's own tests. Those of the link depend on who is at the other
// end, and warn.
func (x *netExam) selfTested(p *netPort) []core.Finding {
	if !p.own.done || !p.own.Failed && !p.own.dark {
		return nil
	}

	severity := core.Severity("")

	ofLink := !slices.ContainsFunc(p.own.Wrong, func(name string) bool {
		name = strings.ToLower(name)

		return !strings.Contains(name, "link") && !strings.Contains(name, "speed")
	})
	if ofLink && len(p.own.Wrong) > 0 && !p.own.dark {
		severity = core.Warning
	}

	return []core.Finding{wired("network/self-test-failed", x.soft(severity), p.part, "%s%s", p.nic.Name, p.own.words())}
}
