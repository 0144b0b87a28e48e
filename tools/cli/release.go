package cli

// Release is the version of Monedula. Archives, packages and images are named after it.
const Release = "0.1.0"
