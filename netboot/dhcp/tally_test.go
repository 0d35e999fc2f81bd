package dhcp_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"vetting/core"
	"vetting/netboot/dhcp"
)

func told(s *dhcp.Server) string {
	var words []string
	for _, m := range s.Messages() {
		words = append(words, fmt.Sprintf("%s/%s=%d", m.Type, m.Result, m.N))
	}

	return strings.Join(words, " ")
}

// Each message is counted once, by its type and by what came of it.
func TestMessagesAreCountedByTypeAndResult(t *testing.T) {
	quiet := false
	s, _ := server(t, core.BootVet, func(c *dhcp.Config, _ *world) { c.Quiet = func() bool { return quiet } })

	discover := ask(t, dhcpv4.MessageTypeDiscover)
	for _, packet := range [][]byte{discover, discover, ask(t, dhcpv4.MessageTypeDecline), ask(t, dhcpv4.MessageType(77)), ask(t, dhcpv4.MessageTypeOffer), nil} {
		s.Answer(packet, nil, start)
	}

	quiet = true

	s.Answer(discover, nil, start)

	if got, want := told(s), "other/malformed=3 discover/answered=2 discover/quiet=1 decline/heard=1"; got != want {
		t.Errorf("counted %s, want %s", got, want)
	}

	stranger, _ := server(t, core.BootIgnore, func(*dhcp.Config, *world) {})
	stranger.Answer(discover, nil, start)

	if got := told(stranger); got != "discover/ignored=1" {
		t.Errorf("of a stranger: %s", got)
	}
}
