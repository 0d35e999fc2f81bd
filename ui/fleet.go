package ui

import (
	"net/http"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/core/route"
	"vetting/ui/lookup"
)

// hostOf is a host as a request describes it.
func hostOf(mac core.MAC, ask *route.HostFields) (core.Host, error) {
	host := core.Host{
		MAC: mac, Name: ask.Name, AssetTag: ask.AssetTag, Rack: ask.Rack, Class: ask.Class, Tags: ask.Tags, Notes: ask.Notes, Loader: ask.Loader, Home: ask.Home, BootURL: ask.BootURL,
		SpecYAML: ask.SpecYAML,
	}

	if ask.Power != nil {
		host.Power = *ask.Power
	}

	if ask.Overrides != nil {
		host.Overrides = *ask.Overrides
	}

	var err error

	host.Aliases, err = macs(ask.Aliases)

	return host, err
}

func macs(words []string) ([]core.MAC, error) {
	var list []core.MAC

	for _, word := range words {
		mac, err := core.ParseMAC(word)
		if err != nil {
			return nil, err
		}

		list = append(list, mac)
	}

	return list, nil
}

func (u *UI) createHost(c *fiber.Ctx) error {
	var ask route.HostCreate
	if err := body(c, &ask); err != nil {
		return err
	}

	mac, err := core.ParseMAC(ask.MAC)
	if err != nil {
		return err
	}

	host, err := hostOf(mac, ask.Fields())
	if err != nil {
		return err
	}

	made, err := u.cfg.Commands.RegisterHost(c.UserContext(), caller(c).Name, host)

	return shown(c, http.StatusCreated, made, err)
}

func (u *UI) adoptHost(c *fiber.Ctx) error {
	mac, err := macOf(c)
	if err != nil {
		return err
	}

	var ask route.HostFields
	if err := body(c, &ask); err != nil {
		return err
	}

	host, err := hostOf(mac, &ask)
	if err != nil {
		return err
	}

	made, err := u.cfg.Commands.AdoptHost(c.UserContext(), caller(c).Name, host)

	return shown(c, http.StatusCreated, made, err)
}

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

func (u *UI) updateHost(c *fiber.Ctx) error {
	mac, err := macOf(c)
	if err != nil {
		return err
	}

	var ask route.HostPatch
	if err := body(c, &ask); err != nil {
		return err
	}

	var aliases []core.MAC

	if ask.Aliases != nil {
		if aliases, err = macs(*ask.Aliases); err != nil {
			return err
		}
	}

	host, err := u.cfg.Commands.UpdateHost(c.UserContext(), caller(c).Name, mac, func(h *core.Host) {
		set(&h.Name, ask.Name)
		set(&h.AssetTag, ask.AssetTag)
		set(&h.Rack, ask.Rack)
		set(&h.Class, ask.Class)
		set(&h.Tags, ask.Tags)
		set(&h.Notes, ask.Notes)
		set(&h.Loader, ask.Loader)
		set(&h.Home, ask.Home)
		set(&h.BootURL, ask.BootURL)
		set(&h.Power, ask.Power)
		set(&h.Overrides, ask.Overrides)

		if ask.Aliases != nil {
			h.Aliases = aliases
		}
	}, asRead(c, hostTag))

	return tagged(c, &host, hostTag, err)
}

func (u *UI) deleteHost(c *fiber.Ctx) error {
	mac, err := macOf(c)
	if err != nil {
		return err
	}

	if err := u.cfg.Commands.DeleteHost(c.UserContext(), caller(c).Name, mac); err != nil {
		return err
	}

	return c.SendStatus(http.StatusNoContent)
}

func (u *UI) listTrash(c *fiber.Ctx) error {
	page, err := paging(c)
	if err != nil {
		return err
	}

	var list route.HostList

	err = u.look(c, func(r core.Reader) (err error) {
		list.Hosts, list.NextPageToken, err = lookup.Trash(r, page)

		return err
	})

	veilList(c, list.Hosts)

	return shown(c, http.StatusOK, list, err)
}

// aboutHost carries out an order that answers with the host.
func aboutHost(c *fiber.Ctx, do func(mac core.MAC) (core.Host, error)) error {
	mac, err := macOf(c)
	if err != nil {
		return err
	}

	host, err := do(mac)

	return tagged(c, &host, hostTag, err)
}

func (u *UI) undeleteHost(c *fiber.Ctx) error {
	return aboutHost(c, func(mac core.MAC) (core.Host, error) {
		return u.cfg.Commands.UndeleteHost(c.UserContext(), caller(c).Name, mac)
	})
}

func (u *UI) putSpec(c *fiber.Ctx) error {
	return aboutHost(c, func(mac core.MAC) (core.Host, error) {
		spec := string(c.Body())

		return u.cfg.Commands.UpdateHost(c.UserContext(), caller(c).Name, mac, func(h *core.Host) { h.SpecYAML = spec }, asRead(c, hostTag))
	})
}

func (u *UI) clearQuarantine(c *fiber.Ctx) error {
	return aboutHost(c, func(mac core.MAC) (core.Host, error) {
		return u.cfg.Commands.ClearQuarantine(c.UserContext(), caller(c).Name, mac)
	})
}

func (u *UI) putSecrets(c *fiber.Ctx) error {
	var ask route.HostSecrets
	if err := body(c, &ask); err != nil {
		return err
	}

	return aboutHost(c, func(mac core.MAC) (core.Host, error) {
		return u.cfg.Commands.SetHostSecret(c.UserContext(), caller(c).Name, mac, core.HostSecret(ask))
	})
}

func (u *UI) learnSpec(c *fiber.Ctx) error {
	mac, err := macOf(c)
	if err != nil {
		return err
	}

	var ask route.SpecLearn

	if len(c.Body()) > 0 {
		if err := body(c, &ask); err != nil {
			return err
		}
	}

	text, err := u.learned(c, mac, ask.Run)

	return shown(c, http.StatusOK, text, err)
}

// learned writes the spec that a run of the host would fulfil; the last one when
// run is empty.
func (u *UI) learned(c *fiber.Ctx, mac core.MAC, run string) (text route.SpecText, err error) {
	err = u.look(c, func(r core.Reader) error {
		host, err := lookup.Host(r, mac)
		if err != nil {
			return err
		}

		text.Run = host.LastRun

		if run != "" {
			if text.Run, err = lookup.ParseRunID(run); err != nil {
				return err
			}
		}

		found, err := lookup.Run(r, text.Run)
		if err == nil && found.Host != host.MAC {
			return core.NewProblem(core.ErrConflict, "spec/other-host", "That run was of another host; learn from one of this host.")
		}

		return err
	})
	if err != nil {
		return text, err
	}

	text.YAML, err = u.cfg.Commands.LearnSpec(c.UserContext(), text.Run)

	return text, err
}

func (u *UI) startRun(c *fiber.Ctx) error {
	mac, err := macOf(c)
	if err != nil {
		return err
	}

	wish, err := wishOf(c)
	if err != nil {
		return err
	}

	run, err := u.cfg.Commands.StartRun(c.UserContext(), mac, wish)
	if err != nil {
		return err
	}

	return c.Status(http.StatusCreated).JSON(route.NewRun(&run, nil))
}

// wishOf reads the body that a run is started with.
func wishOf(c *fiber.Ctx) (core.StartRun, error) {
	var ask route.RunStart
	if err := body(c, &ask); err != nil {
		return core.StartRun{}, err
	}

	wish := core.StartRun{Profile: ask.Profile, Scale: ask.Scale, Armed: ask.Armed, Who: caller(c).Name, Batch: ask.Batch, Grace: lifeOf(ask.Grace)}
	set(&wish.Overrides, ask.Overrides)

	return wish, nil
}

func (u *UI) listClasses(c *fiber.Ctx) error {
	list := route.ClassList{}

	err := u.look(c, func(r core.Reader) (err error) {
		list.Classes, err = lookup.Classes(r)

		return err
	})

	return shown(c, http.StatusOK, list, err)
}

func (u *UI) putClass(c *fiber.Ctx) error {
	var ask route.ClassPut
	if err := body(c, &ask); err != nil {
		return err
	}

	class := core.Class{Name: param(c, "name"), SpecYAML: ask.SpecYAML, Notes: ask.Notes, Golden: ask.Golden}
	set(&class.Overrides, ask.Overrides)

	class, err := u.cfg.Commands.SetClass(c.UserContext(), caller(c).Name, class, asRead(c, classTag))

	return tagged(c, &class, classTag, err)
}

func (u *UI) deleteClass(c *fiber.Ctx) error {
	if err := u.cfg.Commands.DeleteClass(c.UserContext(), caller(c).Name, param(c, "name")); err != nil {
		return err
	}

	return c.SendStatus(http.StatusNoContent)
}
