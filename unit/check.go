package unit

// Check tells everything that keeps the file from being submitted as the unit
// called name. A template is checked as an instance of it would be; what is
// wrong with only some instances comes to light when those are submitted.
//
// What systemd would refuse, such as a service without ExecStart, is left to
// systemd.
func Check(name string, f *File) error {
	n, err := ParseName(name)
	if err != nil {
		return err
	}
	if n.IsTemplate() {
		n = n.sample()
	}
	_, err = f.requirements(n)
	return err
}

// sample returns a made-up instance of the template n. It may be too long for
// a name of its own, and no one would name it in a file.
func (n Name) sample() Name {
	n.Instance = "any\\x2dinstance"
	n.Full = n.Prefix + "@" + n.Instance + n.Suffix
	return n
}
