package engine

import (
	"context"
	"strings"
	"time"

	"vetting/core"
	"vetting/core/lifecycle"
	"vetting/core/problem"
)

// Claim hands the run over to the machine that holds the boot token, once, and
// binds it to that machine. Check and consumption are one write. Whoever made the
// claim may make it again until its first heartbeat, and gets the same answer: it
// may have been lost on the way.
func (e *Engine) Claim(ctx context.Context, run core.RunID, token string, claim core.Claim) (core.ClaimReply, error) {
	claim.Identity, claim.BootID = cleanIdentity(claim.Identity), clip(claim.BootID, maxWord)

	var reply core.ClaimReply

	err := e.write(ctx, func(c *change) error {
		l, err := c.life(run)
		if err != nil {
			return err
		}

		if c.claimed(l, token, &claim) {
			if w := l.run.Wipe; w != nil && w.UsedAt.Equal(l.run.LastBeat) { // it was in the answer that is given again
				w.UsedAt = time.Time{}
			}

			reply, err = c.claimReply(l, e.sessionToken(run, l.run.Epoch, token))

			return cmpErr(err, func() error { return errNothing })
		}

		refusal, err := c.take(l, token, claim)
		if err != nil {
			return err
		}

		if refusal != nil {
			return cmpErr(c.save(l), func() error { return c.refuse(refusal) })
		}

		reply, err = c.handOver(l, token, claim)

		return err
	})
	if err != nil {
		return core.ClaimReply{}, e.wrongToken(err, run, token)
	}

	return reply, nil
}

// handOver begins an epoch for the machine that was let in.
func (c *change) handOver(l *life, token string, claim core.Claim) (reply core.ClaimReply, err error) {
	session := c.engine.sessionToken(l.run.ID, l.run.Epoch+1, token)
	l.newSession, l.newBootID = digest(session), claim.BootID

	if l.resetSince(claim.BootID) {
		if err := c.resetItself(l, claim.BootID); err != nil {
			return reply, err
		}
	}

	if err := c.move(l, lifecycle.Claim); err != nil {
		return reply, err
	}

	l.run.LastBeat, l.run.Stale, l.run.Retrying, l.run.Ending = c.now, false, "", ""
	l.secret.ClaimToken, l.secret.Claimer = digest(token), claimer(&claim)

	if reply, err = c.claimReply(l, session); err != nil {
		return reply, err
	}

	l.useOverride(c.now)

	return reply, cmpErr(c.tellRun(l), func() error { return c.save(l) })
}

// claimer is what is kept of who made a claim, to know the same claim again. Of its
// network ports one may answer late, so they are compared like those of any claim.
func claimer(claim *core.Claim) []byte {
	return digest(strings.Join([]string{claim.BootID, claim.Identity.SMBIOSUUID, claim.Identity.BoardSerial}, "\n"))
}

// claimed reports whether this is the claim that began the epoch, made again by
// who made it, and nothing was heard of its session yet. The boot id is drawn by
// the machine's kernel and told to nobody else, so that a copied token is not
// enough.
func (c *change) claimed(l *life, token string, claim *core.Claim) bool {
	return l.unheard(token) && same(l.secret.Claimer, claimer(claim)) && l.differs(claim.Identity) == "" && l.host.Quarantine == "" &&
		same(l.secret.SessionToken, digest(c.engine.sessionToken(l.run.ID, l.run.Epoch, token)))
}

// unheard reports whether this token began the epoch, and nothing was heard of its
// session yet.
func (l *life) unheard(token string) bool { return same(l.secret.ClaimToken, digest(token)) }

// take consumes the boot token and looks at who presents it.
func (c *change) take(l *life, token string, claim core.Claim) (refusal, err error) {
	if refusal, err := c.bootToken(l, token, claim.Identity); refusal != nil || err != nil {
		return refusal, err
	}

	l.secret.SpentTokens = spend(l.secret.SpentTokens, l.secret.BootToken)
	l.secret.BootToken, l.secret.BootUsed = nil, true

	if l.host.Quarantine != "" {
		return core.NewProblem(core.ErrRefused, problem.HostQuarantined,
			"This host is in quarantine; an operator must look at it and lift the quarantine first."), nil
	}

	if differs := l.differs(claim.Identity); differs != "" {
		return core.NewProblem(core.ErrRefused, problem.HostIdentityMismatch,
			"This is not the machine that was registered: "+differs+"."), c.quarantine(l, differs)
	}

	return nil, c.remember(l, claim.Identity)
}

// heard notes that the answer to the claim has arrived: from here on its boot token
// is spent for everybody.
func (c *change) heard(l *life) error {
	if len(l.secret.ClaimToken) == 0 {
		return nil
	}

	l.secret.ClaimToken, l.secret.Claimer = nil, nil
	c.void(l.run.ID)

	return c.Put(core.TableRunSecret, string(l.run.ID), l.secret)
}

// raiseEpoch fences the boot before and installs the new session.
func (l *life) raiseEpoch() {
	l.secret.SpentSessions = spend(l.secret.SpentSessions, l.secret.SessionToken)
	l.secret.SessionToken = l.newSession
	l.run.Epoch++
	l.run.BootID = l.newBootID
}

// claimReply says what is to be done, from the stage the run is in.
func (c *change) claimReply(l *life, session string) (core.ClaimReply, error) {
	reply := core.ClaimReply{
		SessionToken: session, Epoch: l.run.Epoch, State: l.run.State, Profile: l.run.Profile,
		HeartbeatInterval: c.engine.HeartbeatInterval, Overrides: l.overrides(c.now), OverrideUntil: l.overrideUntil(c.now),
		HostName: l.run.HostName, Overlays: l.run.Overlays,
	}

	if l.row() != nil {
		for i := range l.run.Stages {
			if s := &l.run.Stages[i]; s.Phase != core.Done && !s.Name.ByAppliance() {
				reply.Stages = append(reply.Stages, s.Name)
			}
		}
	}

	var err error
	reply.Disks, err = c.expectedDisks(l)

	return reply, err
}
