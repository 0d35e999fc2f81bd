package network

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"

	"vetting/agent/wire"
	"vetting/core"
)

// VendorClass is what the agent calls itself in DHCP (option 60).
const VendorClass = "vetting-agent"

// Lease is what the machine got.
type Lease struct {
	Interface string
	MAC       core.MAC
	Addr      netip.Prefix
	Server    netip.Addr // where to boot from (siaddr), else the DHCP server
	DHCP      netip.Addr // who gave it (server identifier)
	Router    netip.Addr // not valid: none
	Duration  time.Duration
}

// Config says which port to use.
type Config struct {
	Root fs.FS
	Boot core.MAC // empty: any port with a carrier
	Log  *slog.Logger
}

// Connection is a port with an address. Not safe for concurrent use.
type Connection struct {
	Lease Lease

	log     *slog.Logger
	granted *nclient4.Lease
	admit   func(Lease) error // refuses an offer, and what comes of it; nil: none is
	only    bool              // an address and nothing else: no route beyond the network
}

const (
	poll         = 100 * time.Millisecond
	carrierWait  = 15 * time.Second
	exchangeTime = 2 * time.Second
	otherOffers  = 1500 * time.Millisecond // that an admitted one may come in, after one that is not
	retryTime    = time.Second
	retryMost    = 15 * time.Second
)

// Connect waits for the port, its carrier and an address, as long as it takes.
// The error is that of ctx.
func Connect(ctx context.Context, cfg Config) (*Connection, error) {
	pause := retryTime

	if err := Tidy(Links(cfg.Root)); err != nil {
		cfg.Log.Warn("what a loop left stays", slog.String("error", err.Error()))
	}

	for turn := 0; ; turn++ {
		link, err := await(ctx, cfg, turn)
		if err != nil {
			return nil, err
		}

		conn := &Connection{log: cfg.Log, Lease: Lease{Interface: link.Name, MAC: link.MAC}}

		err = conn.acquire(ctx)
		if err == nil {
			cfg.Log.Info("network is up", slog.String("interface", link.Name), slog.String("address", conn.Lease.Addr.String()),
				slog.String("server", conn.Lease.Server.String()))

			return conn, nil
		}

		cfg.Log.Warn("no address yet", slog.String("interface", link.Name), slog.String("error", err.Error()))

		if err := sleep(ctx, pause); err != nil {
			return nil, err
		}

		pause = min(2*pause, retryMost)
	}
}

// Settle is Connect for a machine that was given its address: it waits for the port and
// its carrier and takes the address, for which nobody is asked. cfg.Boot must be set.
func Settle(ctx context.Context, cfg Config, given wire.Given) (*Connection, error) {
	link, err := await(ctx, cfg, 0)
	if err != nil {
		return nil, err
	}

	conn := &Connection{log: cfg.Log, Lease: Lease{Interface: link.Name, MAC: link.MAC}}

	err = conn.apply(Lease{Interface: link.Name, MAC: link.MAC, Addr: given.Addr, Server: given.Server}, nil)
	if err == nil {
		cfg.Log.Info("network is up", slog.String("interface", link.Name), slog.String("address", given.Addr.String()),
			slog.String("server", given.Server.String()))
	}

	return conn, err
}

// await switches ports on as they appear and returns the chosen one. A chosen
// port without a carrier is tried all the same after carrierWait: some drivers
// never report one.
func await(ctx context.Context, cfg Config, turn int) (Link, error) {
	var since time.Time

	told := false

	for {
		links := Links(cfg.Root)
		if err := SwitchOn(links); err != nil {
			cfg.Log.Debug("port not switched on", slog.String("error", err.Error()))
		}

		link, ok := Choose(links, cfg.Boot, turn)
		if ok && since.IsZero() {
			since = time.Now()
		}

		if ok && (link.Carrier || time.Since(since) > carrierWait) {
			return link, nil
		}

		if ok && !told && time.Since(since) > time.Second {
			told = true

			cfg.Log.Info("waiting for the link", slog.String("interface", link.Name))
		}

		if err := sleep(ctx, poll); err != nil {
			return Link{}, err
		}
	}
}

// Keep renews the lease at half its time, until ctx ends. The address stays when
// the server is away: on this network it is the machine's for good.
func (c *Connection) Keep(ctx context.Context) error {
	for {
		if err := sleep(ctx, max(c.Lease.Duration/2, time.Minute)); err != nil {
			return err
		}

		before := c.Lease

		err := c.renew(ctx)
		if err != nil {
			c.log.Warn("lease not renewed", slog.String("error", err.Error()))

			continue
		}

		if c.Lease.Addr != before.Addr {
			c.log.Warn("address changed", slog.String("before", before.Addr.String()), slog.String("address", c.Lease.Addr.String()))
		}
	}
}

// renew asks for the lease we have, and failing that for any.
func (c *Connection) renew(ctx context.Context) error {
	if c.granted == nil {
		return c.acquire(ctx)
	}

	err := c.exchange(func(client *nclient4.Client) (*nclient4.Lease, error) {
		return client.Renew(ctx, c.granted, vendor())
	})
	if err == nil || ctx.Err() != nil {
		return err
	}

	return errors.Join(err, c.acquire(ctx))
}

func (c *Connection) acquire(ctx context.Context) error {
	return c.exchange(func(client *nclient4.Client) (*nclient4.Lease, error) {
		if c.admit == nil {
			return client.Request(ctx, vendor())
		}

		offer, err := c.offer(ctx, client)
		if err != nil {
			return nil, err
		}

		return client.RequestFromOffer(ctx, offer, vendor())
	})
}

// offer asks who has an address and waits for an offer that is admitted. Whoever made
// another one hears no more of us (RFC 2131, section 3.1): it keeps the address.
func (c *Connection) offer(ctx context.Context, client *nclient4.Client) (*dhcpv4.DHCPv4, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	discover, err := dhcpv4.NewDiscovery(client.InterfaceAddr(), vendor(), dhcpv4.WithOption(dhcpv4.OptMaxMessageSize(nclient4.MaxMessageSize)))
	if err != nil {
		return nil, fmt.Errorf("making a question for an address: %w", err)
	}

	var refused error

	offer, err := client.SendAndRead(ctx, client.RemoteAddr(), discover, func(m *dhcpv4.DHCPv4) bool {
		if m.MessageType() != dhcpv4.MessageTypeOffer {
			return false
		}

		lease, err := leaseOf(m)
		if err != nil {
			return false // a proxy's, who has no addresses
		}

		if err = c.admit(lease); err != nil && refused == nil {
			refused = err

			time.AfterFunc(otherOffers, cancel)
		}

		return err == nil
	})
	if err != nil && refused != nil {
		return nil, refused
	}

	return offer, err
}

func vendor() dhcpv4.Modifier {
	return dhcpv4.WithOption(dhcpv4.OptClassIdentifier(VendorClass))
}

// exchange opens a client for one exchange. A panic of the library over a foreign
// packet is an error of this exchange.
func (c *Connection) exchange(ask func(*nclient4.Client) (*nclient4.Lease, error)) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("asking for an address: %v", r)
		}
	}()

	client, err := nclient4.New(c.Lease.Interface, nclient4.WithTimeout(exchangeTime), nclient4.WithRetry(3))
	if err != nil {
		return fmt.Errorf("asking for an address: %w", err)
	}

	defer client.Close() //nolint:errcheck // the exchange is over

	granted, err := ask(client)
	if err != nil {
		return fmt.Errorf("asking for an address: %w", err)
	}

	lease, err := leaseOf(granted.ACK)
	if err != nil {
		return err
	}

	lease.Interface, lease.MAC = c.Lease.Interface, c.Lease.MAC

	if c.admit != nil {
		if err := c.admit(lease); err != nil { // another one than was offered
			return errors.Join(err, client.Release(granted))
		}
	}

	return c.apply(lease, granted)
}

// apply puts the address on the port, and takes an older one away.
func (c *Connection) apply(lease Lease, granted *nclient4.Lease) error {
	face, err := net.InterfaceByName(lease.Interface)
	if err != nil {
		return fmt.Errorf("setting up %s: %w", lease.Interface, err)
	}

	if err := addAddress(face.Index, lease.Addr); err != nil {
		return err
	}

	if old := c.Lease.Addr; old.IsValid() && old != lease.Addr {
		if err := dropAddress(face.Index, old); err != nil {
			c.log.Warn("old address stays", slog.String("error", err.Error()))
		}
	}

	if lease.Router.IsValid() && !c.only {
		if err := defaultRoute(face.Index, lease.Router); err != nil {
			c.log.Warn("no default route", slog.String("error", err.Error()))
		}
	}

	c.Lease, c.granted = lease, granted

	return nil
}

// leaseOf reads what matters out of an acknowledgement.
func leaseOf(ack *dhcpv4.DHCPv4) (Lease, error) {
	addr, ok := address(ack.YourIPAddr)
	if !ok {
		return Lease{}, errors.New("reading lease: no address in it")
	}

	bits, size := ack.SubnetMask().Size()
	if size != 32 || bits == 0 {
		bits = 24
	}

	lease := Lease{Addr: netip.PrefixFrom(addr, bits), Duration: ack.IPAddressLeaseTime(time.Hour)}

	if server, ok := address(ack.ServerIPAddr); ok {
		lease.Server = server
	} else if server, ok := address(ack.ServerIdentifier()); ok {
		lease.Server = server
	}

	lease.DHCP, _ = address(ack.ServerIdentifier())

	for _, router := range ack.Router() {
		if via, ok := address(router); ok {
			lease.Router = via

			break
		}
	}

	return lease, nil
}

func address(ip net.IP) (netip.Addr, bool) {
	addr, ok := netip.AddrFromSlice(ip.To4())

	return addr, ok && !addr.IsUnspecified()
}

// sleep waits, or returns the error of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()

	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
