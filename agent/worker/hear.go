package worker

import (
	"fmt"
	"log/slog"
	"time"
)

// take deals with a message, and hands on what is for the stage.
func (p *Process) take(m *Message) {
	if fault := p.note(m); fault != "" {
		p.end(ProtocolViolation, fault)

		return
	}

	switch m.Type {
	case beat:
		if m.Lane != "" && m.Age > p.spec.Silence {
			p.end(Hung, fmt.Sprintf("%s has not moved for %v", m.Lane, m.Age.Round(time.Millisecond)))
		}
	case Canary:
		if !m.Caught {
			p.end(CanaryMissed, "planted and not found: "+m.Text)
		}

		p.hear(*m)
	case Log:
		p.log.Info("worker says", slog.String("worker", p.spec.Name), slog.String("text", m.Text))
	case Ready, Progress, Event:
		p.hear(*m)
	case done, failed:
	}
}

// note keeps what the exit is judged by, and says what is wrong with the message
// at its place in the conversation.
func (p *Process) note(m *Message) (fault string) {
	p.mu.Lock()
	defer p.mu.Unlock()

	switch m.Type {
	case Canary:
		p.state.canary = p.state.canary || m.Caught
	case done, failed:
		p.state.said, p.state.fault = m.Type, m.Text
	case Progress, Event:
		if !p.state.canary {
			return "it began before it proved that it finds a planted fault"
		}
	case Ready, Log, beat:
	default:
		return fmt.Sprintf("it wrote a message of the unknown type %.40q", m.Type)
	}

	return ""
}
