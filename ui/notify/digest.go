package notify

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"vetting/core"
	"vetting/core/problem"
	"vetting/ui/text"
)

// Of a storm, such as twenty hosts that lose their power at once, people are told in one
// message: a phone that rang twenty times is switched off. Programs get each by itself.
const (
	// alone is how many messages go out one by one within a spell.
	alone = 5
	// spell is for how long what comes beyond is gathered.
	spell = time.Minute
	// mostGathered bounds what is gathered of one target.
	mostGathered = 1000
	// mostListed bounds the lines of a digest.
	mostListed = 15
)

// fate is what becomes of a message that is to go out.
type fate int

const (
	goes  fate = iota // now, by itself
	joins             // those that were gathered
	opens             // a new gathering, which somebody must send
	drops             // there are too many
)

// crowd gathers what comes to a target faster than people read. Safe for concurrent use.
type crowd struct {
	mu       sync.Mutex
	went     []time.Time // when messages went out, the last of them, alone at most
	gathered []message
}

// take says what becomes of a message, and keeps it if it is gathered.
func (c *crowd) take(m message, now time.Time) fate {
	c.mu.Lock()
	defer c.mu.Unlock()

	switch {
	case len(c.gathered) >= mostGathered:
		return drops
	case len(c.gathered) > 0:
		c.gathered = append(c.gathered, m)

		return joins
	case len(c.went) == alone && now.Sub(c.went[0]) < spell:
		c.gathered = append(c.gathered, m)

		return opens
	case len(c.went) == alone:
		c.went = append(c.went[1:], now)
	default:
		c.went = append(c.went, now)
	}

	return goes
}

// give returns what was gathered. While the storm goes on, the next messages are gathered too.
func (c *crowd) give(now time.Time) []message {
	c.mu.Lock()
	defer c.mu.Unlock()

	all := c.gathered
	c.gathered = nil

	for i := range c.went {
		c.went[i] = now
	}

	return all
}

// gather sends what is gathered for a target after a while. Each message has an outcome of
// its own; when the appliance stops before, it says so, and the message can be sent again.
func (c *Courier) gather(ctx context.Context, d *desk, config *Config) {
	stopped := pause(ctx, spell)
	all := d.crowd.give(c.ports.Now())
	came := core.Delivery{Time: c.ports.Now()}

	if stopped != nil {
		came.Code = codeOf(stopped)
	} else if came = c.deliver(ctx, d, digest(all, config.Console), config.Timeout); came.OK && len(all) > 1 {
		came.Detail = fmt.Sprintf("in one message of %d", len(all))
	}

	for _, m := range all {
		outcome := d.outcome(m)
		outcome.OK, outcome.Time, outcome.Took, outcome.Attempts = came.OK, came.Time, came.Took, came.Attempts
		outcome.Code, outcome.Detail = came.Code, came.Detail

		c.keep(ctx, outcome)
	}
}

// refuse keeps on record that a message was one too many.
func (c *Courier) refuse(ctx context.Context, d *desk, m message) {
	outcome := d.outcome(m)
	outcome.Code, outcome.Time = problem.NotifyQueueFull, c.ports.Now()
	c.keep(ctx, outcome)
}

// digest tells several messages in one, which is as grave as the gravest of them.
func digest(all []message, console string) message {
	if len(all) == 1 {
		return all[0]
	}

	last := all[len(all)-1]
	m := message{seq: last.seq, time: last.time, severity: core.Info, topic: last.topic, link: link(console, message{}), next: "Look at the rack: who needs a decision stands on top."}
	critical, warnings, lines := 0, 0, []string{}

	for i, one := range all {
		switch one.severity {
		case core.Critical:
			critical++
		case core.Warning:
			warnings++
		default: // there is nothing to be done
		}

		if one.topic != m.topic {
			m.topic = ""
		}

		if i < mostListed {
			lines = append(lines, "- "+one.title)
		}
	}

	if critical > 0 {
		m.severity = core.Critical
	} else if warnings > 0 {
		m.severity = core.Warning
	}

	if more := len(all) - mostListed; more > 0 {
		lines = append(lines, fmt.Sprintf("- and %d more", more))
	}

	m.title = fmt.Sprintf("%d more messages: %d critical, %s", len(all), critical, text.Count(warnings, "warning", "warnings"))
	m.text = strings.Join(lines, "\n")

	return m
}
