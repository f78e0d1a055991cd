// Starts the page: theme before the first paint, then the screen, then the connection.
import { mount } from 'svelte';
import App from './App.svelte';
import './app.css';
import { page } from './state/page.svelte';
import { theme } from './state/theme.svelte';

theme.restore();
mount(App, { target: document.getElementById('app')! });
void page.start();
