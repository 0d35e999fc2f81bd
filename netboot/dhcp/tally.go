package dhcp

import (
	"strings"
	"sync/atomic"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// result is what came of a message.
type result uint8

// The results. A message that needs no answer (DECLINE, RELEASE, a REQUEST that is for
// another server) is heard.
const (
	heard result = iota
	answered
	ignored
	malformed
	quieted
	dropped
	failed
	results
)

func (r result) String() string {
	return [...]string{"heard", "answered", "ignored", "malformed", "quiet", "dropped", "failed"}[r]
}

// kinds is one more than the largest message type of a client (RFC 2132, section 9.6); the
// place 0 is for all others.
const kinds = dhcpv4.MessageTypeInform + 1

// tally counts messages by their type and what came of them. Safe for concurrent use.
type tally [kinds][results]atomic.Uint64

func (t *tally) add(kind dhcpv4.MessageType, r result) {
	switch kind { //nolint:exhaustive // the others come from servers, or from nobody
	case dhcpv4.MessageTypeDiscover, dhcpv4.MessageTypeRequest, dhcpv4.MessageTypeDecline, dhcpv4.MessageTypeRelease, dhcpv4.MessageTypeInform:
		t[kind][r].Add(1)
	default:
		t[dhcpv4.MessageTypeNone][r].Add(1)
	}
}

// Messages is how many messages of one type ended in one way.
type Messages struct {
	Type   string // "discover", "request", "decline", "release", "inform"; "other"
	Result string // "answered", "heard", "ignored", "malformed", "quiet", "dropped", "failed"
	N      uint64
}

// Messages counts what came in since the start, by type and what came of it. An answer
// that could not be sent afterwards, or whose lease could not be saved, counts as
// answered here; Counters has these.
func (s *Server) Messages() []Messages {
	var list []Messages

	for kind := range s.came {
		name := "other"
		if kind > 0 {
			name = strings.ToLower(dhcpv4.MessageType(kind).String())
		}

		for r := range s.came[kind] {
			if n := s.came[kind][r].Load(); n > 0 {
				list = append(list, Messages{Type: name, Result: result(r).String(), N: n})
			}
		}
	}

	return list
}
