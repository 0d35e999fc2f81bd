package engine

import (
	"slices"

	"vetting/core"
	"vetting/core/threshold"
)

// maxPeers bounds the hosts of a class that a run is compared with: those that
// passed last.
const maxPeers = 64

// keepFigures puts down what a stage measured, for those who are compared with it.
func (c *change) keepFigures(l *life, row *core.Stage, measured []core.Sample) error {
	medians := threshold.Medians(measured)
	if len(medians) == 0 {
		return c.Delete(core.TableFigure, figureKey(l.run.ID, row.Name)) // of the try before
	}

	return c.Put(core.TableFigure, figureKey(l.run.ID, row.Name), core.Figures{Stage: row.Name, Medians: medians})
}

func figureKey(run core.RunID, stage core.StageName) string { return string(run) + "/" + string(stage) }

// keepPeer makes a run that passed the one that others of the class look at.
func (c *change) keepPeer(l *life) error {
	if l.host.Class == "" {
		return nil
	}

	return c.Put(core.TablePeer, l.host.Class+"/"+string(l.run.Host), core.Peer{
		Class: l.host.Class, Host: l.run.Host, HostName: l.run.HostName, Run: l.run.ID, At: c.now,
	})
}

// resolveBaselines freezes what "baseline" stands for in the rules of a new run.
func (c *change) resolveBaselines(rules []core.Rule, host *core.Host, class *core.Class) ([]core.Rule, error) {
	var peers []threshold.Peer

	if host.Class != "" && threshold.Wanted(rules) {
		var err error
		if peers, err = c.peers(host.Class, class.Golden); err != nil {
			return nil, err
		}
	}

	return threshold.Resolve(rules, host.Class, peers), nil
}

// peers reads what hosts of a class measured when they last passed.
func (c *change) peers(class string, golden core.MAC) (peers []threshold.Peer, err error) {
	var known []core.Peer

	err = c.Scan(core.TablePeer, core.Query{Prefix: class + "/"}, func(_ string, decode func(any) error) error {
		var p core.Peer
		if err := decode(&p); err != nil {
			return err
		}

		if p.Class == class { // and not one whose name goes on after a slash
			known = append(known, p)
		}

		return nil
	})
	if err != nil {
		return nil, err
	}

	slices.SortStableFunc(known, func(a, b core.Peer) int { return b.At.Compare(a.At) })

	for i, p := range known {
		if i >= maxPeers && p.Host != golden {
			continue
		}

		figures, err := c.figures(p.Run)
		if err != nil {
			return nil, err
		}

		peers = append(peers, threshold.Peer{Name: p.HostName, Golden: p.Host == golden, Figures: figures})
	}

	return peers, nil
}

func (c *change) figures(run core.RunID) (all []core.Figures, err error) {
	err = c.Scan(core.TableFigure, core.Query{Prefix: string(run) + "/"}, func(_ string, decode func(any) error) error {
		var f core.Figures
		err := decode(&f)
		all = append(all, f)

		return err
	})

	return all, err
}
