package route

import (
	"time"

	"vetting/core"
)

// TaskList is what the appliance is at work on, the newest first.
type TaskList struct {
	Tasks []Task `json:"tasks"`
}

// Task is one of them. A run is a task under its own id.
type Task struct {
	ID       string     `json:"id"`
	Kind     string     `json:"kind"` // "run", "backup", "backup-proof", "bundle" or "report"
	Text     string     `json:"text"` // "makes a backup"
	Who      string     `json:"who,omitempty"`
	Since    time.Time  `json:"since,omitzero"`
	Progress *float64   `json:"progress,omitempty"` // 0..1; absent: nobody knows
	Host     core.MAC   `json:"host,omitempty"`
	Run      core.RunID `json:"run,omitempty"`
	Stops    bool       `json:"stops"` // it can be stopped now
}

func taskRoutes() []Route {
	return []Route{
		{
			Name: "tasks.list", Tag: "system", Method: "GET", Path: "/api/v1/tasks", Scope: Read,
			Summary: "List what the appliance is at work on: runs that are under way, backups that are made or read, files that are packed while they are sent",
			OK:      ok(TaskList{}, "the tasks, the newest first"),
		},
		{
			Name: "tasks.stop", Tag: "system", Method: "POST", Path: "/api/v1/tasks/{id}/stop", Scope: Operate,
			Summary: "Stop a task: a run is cancelled, anything else leaves off what it does and keeps nothing half done",
			OK:      Answer{Status: 204, Summary: "it was told to stop"}, Errors: []int{404, 409, 507},
		},
	}
}
