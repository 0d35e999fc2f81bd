package main

import (
	"vetting/agent/gate"
	"vetting/agent/partner"
	"vetting/core"
	"vetting/core/engine"
	"vetting/netboot"
	"vetting/netboot/power"
	"vetting/store"
	"vetting/store/artifact"
	"vetting/store/janitor"
	"vetting/store/runlog"
	"vetting/ui"
	"vetting/ui/notify"
)

// Who stands behind the ports of the rooms. What the console finds out for itself
// while it runs (Orders) would otherwise be missing without a word.
var (
	_ core.Ledger       = (*store.Store)(nil)
	_ engine.Clock      = wall{}
	_ engine.Power      = power.Switch{}
	_ engine.Serial     = power.Switch{}
	_ gate.Runs         = (*engine.Engine)(nil)
	_ gate.Hosts        = (*engine.Engine)(nil)
	_ gate.Partner      = (*partner.Partner)(nil)
	_ gate.Meetings     = (*partner.Meetings)(nil)
	_ gate.LogSink      = (*runlog.Log)(nil)
	_ gate.ArtifactSink = (*artifact.Shelf)(nil)
	_ netboot.Booter    = (*engine.Engine)(nil)
	_ netboot.Witness   = (*engine.Engine)(nil)
	_ netboot.Leases    = leases{}
	_ ui.Commands       = (*engine.Engine)(nil)
	_ ui.Orders         = (*engine.Engine)(nil)
	_ ui.Logs           = (*runlog.Log)(nil)
	_ ui.Artifacts      = (*artifact.Shelf)(nil)
	_ ui.Notifier       = (*notify.Courier)(nil)
	_ ui.Steering       = pilot{}
	_ notify.Cursor     = notify.Book{}
	_ notify.Outcomes   = notify.Book{}
	_ janitor.Logs      = (*runlog.Log)(nil)
	_ janitor.Shelf     = (*artifact.Shelf)(nil)
	_ janitor.Collector = (*store.Store)(nil)
	_ keysmith          = smith{}
	_ keysmith          = offline{}
)
