package wire

// ArtifactReply answers an upload. The body of the request is the file itself;
// the query names it (name, stage).
type ArtifactReply struct {
	ID     string `json:"id"`
	SHA256 string `json:"sha256"` // lower-case hex
}

// Validate demands both.
func (a ArtifactReply) Validate() error {
	var f faults

	f.need("id", a.ID, MaxName)
	f.need("sha256", a.SHA256, MaxName)

	return f.err()
}
