package route

import "time"

// BackupList is where the appliance puts backups by itself, and those that it has there.
type BackupList struct {
	Folder   string     `json:"folder"`     // empty: none are made by themselves
	Interval int64      `json:"interval_s"` // how old the newest one gets before the next is made
	Keep     int        `json:"keep"`       // how many stay
	Keys     bool       `json:"keys"`       // they hold the key pairs and secrets of the appliance
	Next     *time.Time `json:"next"`       // when the next one is due; null: none is
	Backups  []Backup   `json:"backups"`    // the newest first
}

// Backup is one file in that folder.
type Backup struct {
	Name  string    `json:"name"`
	Made  time.Time `json:"made"`
	Bytes int64     `json:"bytes"` // of the file
}

// BackupProof is what a backup holds that was read from its beginning to its end.
type BackupProof struct {
	Backup

	Appliance string `json:"appliance"` // the id of the one it is of
	Program   string `json:"program"`   // version that wrote it
	Keys      bool   `json:"keys"`      // key pairs and secrets are in it
	Commits   uint64 `json:"commits"`   // of the ledger
	Events    uint64 `json:"events"`    // of the ledger
	Files     int    `json:"files"`
	Content   int64  `json:"content_bytes"` // of ledger and files, before they were compressed
}

func backupRoutes() []Route {
	const backups = "/api/v1/backups"

	return []Route{
		{
			Name: "backups.list", Tag: "system", Method: "GET", Path: backups, Scope: Admin,
			Summary: "List the backups in the appliance's folder for them, the newest first", OK: ok(BackupList{}, "folder and backups"),
		},
		{
			Name: "backups.create", Tag: "system", Method: "POST", Path: backups, Scope: Admin,
			Summary: "Make a backup in that folder now and read it again; those that are too many then go",
			OK:      Answer{Status: 201, Type: JSON, Value: BackupProof{}, Summary: "the backup"}, Errors: []int{409, 507},
		},
		{
			Name: "backups.get", Tag: "system", Method: "GET", Path: backups + "/{name}", Scope: Admin,
			Summary: "Download a backup of that folder", OK: Answer{Status: 200, Type: Binary, Summary: "the file"}, Errors: []int{404, 507},
		},
		{
			Name: "backups.verify", Tag: "system", Method: "POST", Path: backups + "/{name}/verify", Scope: Admin,
			Summary: "Read a backup of that folder from its beginning to its end, and prove it whole or name the damage",
			OK:      ok(BackupProof{}, "it is whole"), Errors: []int{404, 409, 422},
		},
		{
			Name: "backup.stream", Tag: "system", Method: "POST", Path: "/api/v1/backup", Scope: Admin,
			Summary: "Get a backup of this moment; nothing of it stays at the appliance. Verify the file: one that broke off has no end",
			Query:   []Param{{Name: "keys", Kind: "boolean", Summary: "with the key pairs and secrets of the appliance, so that another machine can take its place at once"}},
			OK:      Answer{Status: 200, Type: Binary, Summary: "the file"}, Errors: []int{409, 422},
		},
	}
}
