package hostmode

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"vetting/agent"
	"vetting/agent/wire"
	"vetting/core"
)

const (
	beatEvery  = 30 * time.Second
	firstWait  = 2 * time.Second
	longWait   = 2 * time.Minute // between tries while the appliance is away
	barredWait = 5 * time.Minute // between tries while it does not want us
)

// Service is an installed machine's part. What is not marked optional must be
// set.
type Service struct {
	Config  Config
	Key     ed25519.PrivateKey
	Version string // of the agent
	BootID  string // /proc/sys/kernel/random/boot_id
	// Hostname is what the system calls itself.
	Hostname string
	// Uptime tells how long the machine is up.
	Uptime func() time.Duration
	// Addresses finds the port that reaches the appliance, and the machine's
	// others.
	Addresses func(ctx context.Context) (core.MAC, []core.MAC, error)
	// Busy says why the machine must not be rebooted now; empty: it may.
	Busy func() string
	// Reboot reboots the machine into the network through the port with that
	// address. It returns when that is under way, or with the reason why it is not.
	Reboot func(ctx context.Context, mac core.MAC) error
	Log    *slog.Logger
	Dial   agent.Dial       // net.Dialer's with a timeout when nil
	Now    func() time.Time // time.Now when nil
}

// service is one run of it.
type service struct {
	Service
	client  *client
	mac     string // of the host's calls, as the appliance wants them
	refusal string // why the last order was not followed; told once, so that the same again is news
	said    string // the last trouble that was logged
}

// Run makes the host known and beats until ctx ends; it returns nil then. Troubles
// with the appliance are waited out; the error is one of the configuration.
func (s Service) Run(ctx context.Context) error {
	if s.Dial == nil {
		s.Dial = (&net.Dialer{Timeout: 10 * time.Second}).DialContext
	}

	if s.Now == nil {
		s.Now = time.Now
	}

	client, err := newClient(s.Config, s.Key, s.Dial, s.Now)
	if err != nil {
		return fmt.Errorf("starting the host agent: %w", err)
	}
	defer client.http.CloseIdleConnections()

	r := &service{Service: s, client: client}
	wait := firstWait

	for {
		pause, err := r.turn(ctx)

		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			r.complain(err)
			pause = max(r.patience(err), wait)
			wait = min(2*wait, longWait)
		default:
			wait = firstWait
		}

		if !sleep(ctx, spread(pause)) {
			return nil
		}
	}
}

// turn does what is due now, and says when the next thing is.
func (s *service) turn(ctx context.Context) (next time.Duration, err error) {
	if s.mac == "" {
		return 0, s.register(ctx)
	}

	order, err := s.client.beat(ctx, s.mac, wire.HostHeartbeat{
		AgentVersion: line(s.Version, wire.MaxName), UptimeS: wire.InSeconds(s.Uptime()), BootID: line(s.BootID, wire.MaxName), Refusal: s.refusal,
	})
	if err != nil {
		return 0, err
	}

	s.refusal = ""

	if s.said != "" {
		s.said = ""
		s.Log.Info("the appliance answers again")
	}

	if order.Cmd != wire.HostReboot {
		return beatEvery, nil
	}

	if s.obey(ctx) {
		return beatEvery, nil
	}

	return firstWait, nil // the appliance shall learn soon
}

// register makes the host and its key known.
func (s *service) register(ctx context.Context) error {
	mac, others, err := s.Addresses(ctx)
	if err != nil {
		return fmt.Errorf("looking for the port to the appliance: %w", err)
	}

	public, _ := s.Key.Public().(ed25519.PublicKey)
	in := wire.HostRegister{
		MAC: string(mac), Hostname: line(s.Hostname, wire.MaxName), PublicKey: base64.StdEncoding.EncodeToString(public),
		AgentVersion: line(s.Version, wire.MaxName), EnrolKey: s.Config.EnrolKey,
	}

	if own := s.Config.MAC; own != "" && own != mac {
		in.MAC, others = string(own), append([]core.MAC{mac}, others...)
	}

	for _, other := range others[:min(len(others), wire.MaxName)] {
		if string(other) != in.MAC {
			in.MACs = append(in.MACs, string(other))
		}
	}

	reply, err := s.client.register(ctx, in)
	if err != nil {
		return err
	}

	s.mac, s.said = reply.Host.MAC, ""
	s.Log.Info("the appliance knows this host", slog.String("host", reply.Host.MAC), slog.String("name", line(reply.Host.Name, wire.MaxName)),
		slog.String("key", string(reply.Host.KeyState)), slog.String("fingerprint", core.KeyFingerprint(public)))

	return nil
}

// obey reboots the machine, or says why not; then it returns false.
func (s *service) obey(ctx context.Context) bool {
	s.refusal = line(s.Busy(), wire.MaxText)

	if s.refusal == "" {
		s.Log.Warn("rebooting for vetting, as the appliance asks")

		err := s.Reboot(ctx, core.MAC(s.mac))
		if err == nil {
			return true
		}

		s.refusal = line("the reboot did not work: "+err.Error(), wire.MaxText)
	}

	s.Log.Warn("not rebooting for vetting", slog.String("why", s.refusal))

	return false
}

// complain logs a trouble when it begins or changes, and has the host make itself
// known again where the appliance has forgotten it.
func (s *service) complain(err error) {
	refusal, refused := errors.AsType[*refusalError](err)
	if refused && (refusal.code == wire.CodeKeyUnknown || refusal.status == http.StatusNotFound) {
		s.mac = ""
	}

	now := err.Error()

	switch {
	case now == s.said:
		return
	case refused && refusal.code == wire.CodeDeleted: // on purpose, and no trouble
		s.Log.Info("the appliance does not want this host: an operator deleted it there; it is asked now and then whether that has changed")
	default:
		s.Log.Warn("no word with the appliance", slog.String("error", now))
	}

	s.said = now
}

// patience is how long to wait after a trouble, at least.
func (s *service) patience(err error) time.Duration {
	refusal, ok := errors.AsType[*refusalError](err)

	switch {
	case !ok || refusal.status >= http.StatusInternalServerError || refusal.status == http.StatusTooManyRequests:
		return 0
	case refusal.code == wire.CodeKeyUnknown || refusal.code == wire.CodeClock:
		return 0
	default:
		return barredWait
	}
}

// spread makes a wait up to a tenth shorter, so that hosts that lost the
// appliance at one moment do not come back at one moment.
func spread(d time.Duration) time.Duration {
	return d - rand.N(d/10+1) //nolint:gosec // a spread, not a secret
}

// sleep waits, and reports whether ctx goes on.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()

	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
