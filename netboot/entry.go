package netboot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"golang.org/x/sync/errgroup"

	"vetting/core"
	"vetting/netboot/arp"
	"vetting/netboot/nic"
	"vetting/netboot/rogue"
)

// errUnplugged says that the cable was pulled, or is not in: whatever we learned
// about the network counts no more.
var errUnplugged = errors.New("the network card has lost its carrier")

// place is a card as we came to serve on it.
type place struct {
	card    *net.Interface
	carrier nic.Carrier
}

// same reports whether the place is what it was: the same card, and the cable
// never out since.
func (p place) same() error {
	carrier, err := nic.CarrierOf(p.card.Index)

	switch {
	case err != nil:
		return err
	case carrier != p.carrier:
		return errUnplugged
	default:
		return nil
	}
}

// enter makes sure that we may and can serve on the card, and gives it our
// address last: as long as we do not know the network we are nobody on it.
func (s *Server) enter(ctx context.Context) (p place, err error) {
	if p.card, err = nic.Find(s.cfg.Interface); err != nil {
		return p, err
	}

	if err := s.ours(); err != nil {
		return p, err
	}

	if err := nic.Raise(s.cfg.Interface, s.cfg.Prefix); err != nil {
		return p, err
	}

	// That of an earlier life, which was killed.
	if err := nic.TakeAddress(s.cfg.Interface, s.cfg.Prefix); err != nil {
		return p, err
	}

	for {
		if p.carrier, err = s.plugged(ctx, p.card); err != nil {
			return p, err
		}

		err := s.alone(ctx, p.card)

		moved := p.same()

		switch {
		case ctx.Err() != nil:
			return p, ctx.Err()
		case errors.Is(moved, errUnplugged):
			continue // a verdict about a network that we may have been taken from is none
		case moved != nil || err != nil:
			return p, cmp.Or(moved, err)
		}

		break
	}

	// A DHCP client beside us may have made the network ours meanwhile.
	if err := s.ours(); err != nil {
		return p, err
	}

	return p, nic.GiveAddress(s.cfg.Interface, s.cfg.Prefix)
}

// leave takes our address from the card.
func (s *Server) leave() {
	if err := nic.TakeAddress(s.cfg.Interface, s.cfg.Prefix); err != nil {
		s.cfg.Log.Warn("the address stays on the network card", slog.String("interface", s.cfg.Interface), slog.String("error", err.Error()))
	}
}

// plugged waits until a cable is in.
func (s *Server) plugged(ctx context.Context, card *net.Interface) (nic.Carrier, error) {
	var carrier nic.Carrier

	errUp, told := errors.New("up"), false

	err := nic.Watch(ctx, func() (err error) {
		carrier, err = nic.CarrierOf(card.Index)

		switch {
		case err != nil:
			return err
		case carrier.Up:
			return errUp
		case !told:
			told = true

			s.cfg.Log.Warn("no cable in the network card, or nothing at its other end; waiting for it",
				slog.String("code", "netboot/no-cable"), slog.String("interface", card.Name))
			s.witness("no-cable", "waiting for a cable in "+card.Name)
		}

		return nil
	})
	if errors.Is(err, errUp) {
		return carrier, nil
	}

	return carrier, errors.Join(err, ctx.Err())
}

// Foreign reports whether a card is to be left alone: the default route leads through it, so
// that it looks like somebody's network, and the mode would give addresses there. A proxy and
// one that only listens give none, and stand beside the server of just such a network. own
// says that the network is the operator's whole.
func Foreign(iface string, mode Mode, own bool) (bool, error) {
	if own || mode != ModeDHCP {
		return false, nil
	}

	return nic.Carries(iface)
}

// ours refuses to give addresses on a card that leads to the rest of the world.
func (s *Server) ours() error {
	foreign, err := Foreign(s.cfg.Interface, s.cfg.Mode, s.cfg.OwnNetwork)
	if err != nil {
		return err
	}

	if foreign {
		return core.NewProblem(core.ErrRefused, "netboot/default-route", fmt.Sprintf(
			"the default route leads through %s, so it looks like somebody's network, not a test network. "+
				"Choose a dedicated network card, take the mode proxy beside that network's DHCP server, or say --i-own-this-network if DHCP on it is yours to give", s.cfg.Interface))
	}

	return nil
}

// alone refuses a network that has a DHCP server, unless we are to serve beside
// one, or another machine with our address. Both are asked for at once.
func (s *Server) alone(ctx context.Context, card *net.Interface) error {
	if s.cfg.SearchTime < 0 {
		return nil
	}

	var (
		group   errgroup.Group
		claimed error
	)

	group.Go(func() error {
		claimed = s.unclaimed(ctx, card)

		return nil
	})

	var err error

	switch s.cfg.Mode {
	case ModeDHCP:
		err = s.lonely(ctx, card)
	case ModeProxy:
		err = s.accompanied(ctx, card)
	case ModeOff:
	}

	_ = group.Wait()

	return errors.Join(err, claimed)
}

// claim looks for other servers, and tells other appliances that we mean to serve, or did.
func (s *Server) claim(ctx context.Context, card *net.Interface) ([]rogue.Offer, error) {
	if s.started() {
		return s.searcher.Reclaim(ctx, card, s.cfg.SearchTime)
	}

	return s.searcher.Claim(ctx, card, s.cfg.SearchTime)
}

// lonely refuses a network that has a DHCP server.
func (s *Server) lonely(ctx context.Context, card *net.Interface) error {
	found, err := s.claim(ctx, card)
	if err != nil {
		return err
	}

	if err := s.only(found); err != nil {
		return err
	}

	if found = s.outrank(found); len(found) == 0 {
		return nil
	}

	who := rogue.Describe(found)
	if s.alarm.due("rogue", time.Now()) {
		s.alert("rogue", "netboot/rogue-dhcp", "Not serving on "+s.cfg.Interface+" beside the DHCP server "+who+".")
	}

	return core.NewProblem(core.ErrConflict, "netboot/rogue-dhcp", fmt.Sprintf(
		"another DHCP server answers on %s: %s. Two of them break machines on both; turn that one off or choose another network card",
		s.cfg.Interface, who))
}

// only refuses a network on which another appliance serves, in whatever mode, or is about
// to and came before us: a machine that both know would be told two things.
func (s *Server) only(found []rogue.Offer) error {
	var others []rogue.Offer

	for _, o := range found {
		if o.Appliance {
			others = append(others, o)
		}
	}

	if len(others) == 0 {
		return nil
	}

	who := rogue.Describe(others)
	if s.alarm.due("appliance", time.Now()) {
		s.alert("appliance", "netboot/other-appliance", "Not serving on "+s.cfg.Interface+": there is "+who+".")
	}

	return core.NewProblem(core.ErrConflict, "netboot/other-appliance", fmt.Sprintf(
		"two appliances do not share a network, and on %s there is %s. Stop one of them, or choose another network card", s.cfg.Interface, who))
}

// fellow says that another appliance, by its card, has asked whether one serves here: it
// is told so, and does not begin. Who asks chooses which card it names. It may be one that
// serves, too, and has overheard us before we heard anything of it: it is asked back, once
// a minute at most.
func (s *Server) fellow(card core.MAC) {
	if s.alarm.due("asked", time.Now()) {
		s.seekSoon()
	}

	if now := time.Now(); !s.alarm.due("fellow", now) || !s.fellows.due(card, now) {
		return
	}

	s.cfg.Log.Warn("another appliance looks at the test network, and is told that we serve it",
		slog.String("code", "netboot/other-appliance"), slog.String("appliance", string(card)))
	s.alert("appliance", "netboot/other-appliance", "Another appliance, with the card "+string(card)+", looks at the network of "+s.cfg.Interface+
		". It is told that this one serves there, and does not begin.")
}

// accompanied looks for the server that gives the addresses while we are a proxy.
// That there is none is said, but it may come later.
func (s *Server) accompanied(ctx context.Context, card *net.Interface) error {
	found, err := s.claim(ctx, card)
	if err != nil {
		return err
	}

	if err := s.only(found); err != nil {
		return err
	}

	if len(found) > 0 {
		s.cfg.Log.Info("serving beside a dhcp server", slog.String("server", rogue.Describe(found)))

		return nil
	}

	s.cfg.Log.Warn("no dhcp server answers; machines will get no addresses", slog.String("code", "netboot/no-dhcp-server"))

	if s.alarm.due("no-server", time.Now()) {
		s.alert("no-dhcp-server", "netboot/no-dhcp-server", "No DHCP server answers on "+s.cfg.Interface+", and in the mode proxy the appliance gives no addresses.")
	}

	return nil
}

// unclaimed refuses a network on which another machine has our address.
func (s *Server) unclaimed(ctx context.Context, card *net.Interface) error {
	conn, err := arp.Open(card)
	if err != nil {
		return err
	}

	user, err := conn.User(ctx, s.cfg.Prefix.Addr(), s.cfg.SearchTime)
	_ = conn.Close()

	if err != nil || user == "" {
		return err
	}

	if s.alarm.due("self", time.Now()) {
		s.alert("conflict", "netboot/address-conflict", "Not serving on "+s.cfg.Interface+": our address "+
			s.cfg.Prefix.Addr().String()+" is used by "+string(user)+".")
	}

	return core.NewProblem(core.ErrConflict, "netboot/address-conflict", fmt.Sprintf(
		"the machine %s on %s uses %s, the address that the appliance is to have there. Is another appliance plugged in? "+
			"Give that machine another address, or the appliance another subnet", user, s.cfg.Interface, s.cfg.Prefix.Addr()))
}
