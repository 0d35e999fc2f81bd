package view

// HostTabs are the parts of a host's page, by the name that its address may end in.
func HostTabs() map[string]string {
	return map[string]string{"overview": "host-head", "hardware": "parts", "spec": "spec", "runs": "host-runs", "power": "host-power", "notes": "notes"}
}

// RunTabs are those of a run's page.
func RunTabs() map[string]string {
	return map[string]string{
		"live": "run-stages", "findings": "run-findings", "spec": "run-diff", "disks": "run-meters", "sensors": "run-plots", "log": "run-log", "files": "run-files",
	}
}

// tabs are the parts of the page that there are.
func (h *Host) tabs() []tab {
	at := HostTabs()
	list := []tab{{"overview", "Overview", at["overview"]}}

	if h.Frame.operates() && (wakeable(&h.Row.Host) || h.Row.Host.Power.BMC.Address != "") {
		list = append(list, tab{"power", "Power", at["power"]})
	}

	list = append(list, tab{"notes", "Notes", at["notes"]}, tab{"runs", "Runs", at["runs"]}, tab{"spec", "Spec", at["spec"]})

	if len(h.parts()) > 0 {
		list = append(list, tab{"hardware", "Hardware", at["hardware"]})
	}

	return list
}

func (r *Run) tabs() []tab {
	at := RunTabs()
	list := []tab{{"live", "Live", at["live"]}}

	if r.metered() != nil {
		list = append(list, tab{"disks", "Disks", at["disks"]})
	}

	list = append(list, tab{"findings", "Findings", at["findings"]}, tab{"spec", "Spec", at["spec"]}, tab{"sensors", "Sensors", at["sensors"]}, tab{"log", "Log", at["log"]})

	if len(r.Files) > 0 {
		list = append(list, tab{"files", "Files", at["files"]})
	}

	return list
}
