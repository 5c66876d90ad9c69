// The token in the address was used by loading this page. It is taken out, so that loading the page again works.
history.replaceState(null, "", "/");
addEventListener("DOMContentLoaded", () => {
  document.getElementById("restart").addEventListener("click", () => location.reload());
});
