package engine

import (
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"

	"vetting/core"
	"vetting/core/problem"
	"vetting/core/sshkey"
)

// holdNonce is the chance in the key of one hold.
const holdNonce = 32

// HoldOpened takes the word of a held host's agent that its SSH server is up,
// and says which keys it is to let in. The operator's is made here, for this
// hold; its private half is kept nowhere, see HoldKey. The call may be made again:
// by the same boot it changes nothing, after another claim the new host key and
// address count.
func (e *Engine) HoldOpened(ctx context.Context, run core.RunID, token string, call core.HoldCall) (core.HoldReply, error) {
	nonce := make([]byte, holdNonce)
	if _, err := io.ReadFull(e.Rand, nonce); err != nil {
		return core.HoldReply{}, fmt.Errorf("drawing the key of a hold: %w", err)
	}

	var reply core.HoldReply

	err := e.write(ctx, func(c *change) error {
		l, err := c.session(run, token, false)
		if err != nil {
			return err
		}

		// Only after the token: who has none learns nothing of what is wrong besides.
		door, err := doorOf(call)
		if err != nil {
			return err
		}

		if l.run.State != core.StateFailedHolding {
			return core.NewProblem(core.ErrConflict, problem.HoldWrongState, fmt.Sprintf(
				"The run is in %s; only a held host opens its SSH server.", l.run.State)).With("state", string(l.run.State))
		}

		fresh := c.openHold(l, door, nonce)
		reply = core.HoldReply{AuthorizedKeys: e.lettingIn(l.run.Hold), Until: l.run.Deadline}

		if !fresh {
			return errNothing
		}

		return cmpErr(c.tellHold(l), func() error { return c.save(l) })
	})
	if err != nil {
		return core.HoldReply{}, e.wrongToken(err, run, token)
	}

	return reply, nil
}

// doorOf reads where and with which host key the agent listens. An address other
// than the caller's own is refused: the appliance connects to it for people.
func doorOf(call core.HoldCall) (core.Hold, error) {
	host, err := sshkey.Parse(call.SSHHostKey)
	if err != nil {
		return core.Hold{}, core.NewProblem(core.ErrInvalid, problem.HoldBadHostKey,
			"The host key must be a line \"ssh-ed25519 AAAA…\".")
	}

	addr, err := netip.ParseAddr(call.IP)
	if err != nil || !addr.IsValid() || addr.IsUnspecified() || addr.IsMulticast() {
		return core.Hold{}, core.NewProblem(core.ErrInvalid, problem.HoldBadAddress,
			fmt.Sprintf("%.40q is not the address of a machine.", call.IP))
	}

	if call.From.IsValid() && call.From.Unmap().WithZone("") != addr.Unmap().WithZone("") {
		return core.Hold{}, core.NewProblem(core.ErrRefused, problem.HoldBadAddress,
			fmt.Sprintf("The call comes from %s and names %s; a host can only open its own door.", call.From.Unmap(), addr))
	}

	return core.Hold{Addr: addr.Unmap(), HostKey: sshkey.Line(host, ""), Fingerprint: core.KeyFingerprint(host)}, nil
}

// openHold puts the door down; false when it is there already as it is.
func (c *change) openHold(l *life, door core.Hold, nonce []byte) (fresh bool) {
	was := l.run.Hold
	if was != nil && was.Epoch == l.run.Epoch && was.HostKey == door.HostKey && was.Addr == door.Addr {
		return false
	}

	door.Epoch, door.OpenedAt = l.run.Epoch, c.now

	if was == nil {
		l.secret.HoldNonce = nonce
		public, _ := c.engine.holdPair(l).Public().(ed25519.PublicKey)
		door.PublicKey = sshkey.Line(public, "vetting-"+string(l.run.ID))
	} else {
		door.PublicKey, door.TakenAt, door.TakenBy = was.PublicKey, was.TakenAt, was.TakenBy
	}

	l.run.Hold = &door

	return true
}

// lettingIn lists the keys that a hold is open to.
func (e *Engine) lettingIn(hold *core.Hold) []string {
	keys := []string{hold.PublicKey}

	if e.TerminalKey != "" {
		keys = append(keys, e.TerminalKey)
	}

	return keys
}

func (c *change) tellHold(l *life) error {
	h := l.run.Hold

	return c.announce(l, news{
		topic: core.HoldingOpened, code: problem.HoldOpened, severity: core.Critical,
		text: fmt.Sprintf("%s is held at %s until %s; its host key is %s", l.run.HostName, h.Addr,
			l.run.Deadline.Format("2006-01-02 15:04 MST"), h.Fingerprint),
	})
}

// holdPair makes the operator's key of a hold. It rests on a secret that is not
// in the ledger, so that neither ledger nor backup opens a held host.
func (e *Engine) holdPair(l *life) ed25519.PrivateKey {
	mac := hmac.New(sha256.New, e.HoldSecret)
	for _, part := range [][]byte{[]byte("vetting hold key"), []byte(l.run.ID), l.secret.HoldNonce} {
		_, _ = mac.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part)))) // #nosec G115 -- parts are short; a hash takes all
		_, _ = mac.Write(part)
	}

	return ed25519.NewKeyFromSeed(mac.Sum(nil))
}

// HoldKey hands the private key of a hold out, once, to the operator who asks for
// it first.
func (e *Engine) HoldKey(ctx context.Context, who string, run core.RunID) (core.HoldKey, error) {
	var key core.HoldKey

	err := e.write(ctx, func(c *change) error {
		l, err := c.life(run)
		if err != nil {
			return err
		}

		pair, err := e.takeable(l)
		if err != nil {
			return err
		}

		before := core.Digest(l.run.Hold)
		hold := *l.run.Hold
		hold.TakenAt, hold.TakenBy = c.now, clip(who, maxWord)
		l.run.Hold = &hold
		key = holdKey(l, pair)

		if err := c.audit(deed{
			who: who, action: "hold.key", run: run, host: l.run.Host, before: before, after: core.Digest(hold),
			text: fmt.Sprintf("took the key of the hold of %s (run %s)", l.run.HostName, run),
		}); err != nil {
			return err
		}

		return c.save(l)
	})
	if err != nil {
		return core.HoldKey{}, err
	}

	return key, nil
}

// RenewHoldKey makes a new key for a hold and hands its private half out; the one before
// opens nothing any more once the host has asked which keys count, which it does every
// half minute. The hold ends when it would have ended.
func (e *Engine) RenewHoldKey(ctx context.Context, who string, run core.RunID) (core.HoldKey, error) {
	nonce := make([]byte, holdNonce)
	if _, err := io.ReadFull(e.Rand, nonce); err != nil {
		return core.HoldKey{}, fmt.Errorf("drawing the key of a hold: %w", err)
	}

	var key core.HoldKey

	_, err := e.decree(ctx, run, func(c *change, l *life) (deed, error) {
		if err := openDoor(l); err != nil {
			return deed{}, err
		}

		l.secret.HoldNonce = nonce
		pair := e.holdPair(l)
		public, _ := pair.Public().(ed25519.PublicKey)
		hold := *l.run.Hold
		hold.PublicKey, hold.TakenAt, hold.TakenBy = sshkey.Line(public, "vetting-"+string(l.run.ID)), c.now, clip(who, maxWord)
		l.run.Hold = &hold
		key = holdKey(l, pair)

		return deed{who: who, action: "hold.renew-key", text: fmt.Sprintf(
			"made a new key for the hold of %s (run %s); the one before is worthless", l.run.HostName, run)}, nil
	})
	if err != nil {
		return core.HoldKey{}, err
	}

	return key, nil
}

// openDoor refuses a run whose host is not held, or has not opened its SSH server.
func openDoor(l *life) error {
	switch {
	case l.run.State != core.StateFailedHolding:
		return core.NewProblem(core.ErrConflict, problem.HoldWrongState, fmt.Sprintf(
			"The run is in %s; only a held host can be looked into.", l.run.State)).With("state", string(l.run.State))
	case l.run.Hold == nil:
		return core.NewProblem(core.ErrConflict, problem.HoldNotOpen,
			"The host's agent has not opened its SSH server; see whether it still beats, or power-cycle the host.")
	default:
		return nil
	}
}

// takeable returns the key of a hold if it may be handed out.
func (e *Engine) takeable(l *life) (ed25519.PrivateKey, error) {
	if err := openDoor(l); err != nil {
		return nil, err
	}

	hold := l.run.Hold
	if !hold.TakenAt.IsZero() {
		return nil, core.NewProblem(core.ErrConflict, problem.HoldKeyTaken, fmt.Sprintf(
			"The key was handed to %s at %s and is kept nowhere; use that one or the web terminal, or issue a new key.",
			hold.TakenBy, hold.TakenAt.Format("2006-01-02 15:04 MST"))).With("taken_by", hold.TakenBy)
	}

	pair := e.holdPair(l)

	public, _ := pair.Public().(ed25519.PublicKey)
	if !strings.HasPrefix(hold.PublicKey, sshkey.Line(public, "")+" ") {
		return nil, core.NewProblem(core.ErrConflict, problem.HoldKeyLost,
			"The appliance's secret was changed since the hold was opened; issue a new key.")
	}

	return pair, nil
}

func holdKey(l *life, pair ed25519.PrivateKey) core.HoldKey {
	alias := "vetting-" + strings.ToLower(string(l.run.ID))

	return core.HoldKey{
		Run: l.run.ID, Host: l.run.Host, HostName: l.run.HostName, Addr: l.run.Hold.Addr.String(), User: "root",
		PrivateKey: sshkey.Private(pair, alias, binary.BigEndian.Uint32(l.secret.HoldNonce)), FileName: alias + ".key",
		KnownHosts: alias + " " + l.run.Hold.HostKey, Alias: alias, Until: l.run.Deadline,
	}
}

// closeHold makes the key of a hold worthless; what is known of the hold stays.
func (l *life) closeHold() { l.secret.HoldNonce = nil }

// reopenable forgets the hold, so that the next one gets a key of its own.
func (l *life) reopenable() {
	l.closeHold()
	l.run.Hold, l.run.Wipe = nil, nil
}

// isSecret reports whether a secret is worth its name.
func isSecret(secret []byte) bool {
	return len(secret) >= sha256.Size && slices.ContainsFunc(secret, func(b byte) bool { return b != secret[0] })
}
